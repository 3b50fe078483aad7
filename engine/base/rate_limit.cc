#include "engine/base/rate_limit.h"

#include <algorithm>
#include <thread>

#include "engine/base/ids.h"

namespace cryostat {

namespace {
// How long a stop request may go unnoticed.
constexpr std::chrono::milliseconds kLongestNap(20);
}  // namespace

uint64_t RateLimit::portion_bytes(uint64_t most) const {
  if (!limited()) return most;
  return std::clamp(page_align_down(bytes_per_second_ / 50), kPageSize, most);
}

Result<void> RateLimit::spend(uint64_t bytes, const StopRequest& stop) {
  if (!limited()) return stop.check();
  Clock::time_point due;
  {
    const std::lock_guard lock(mutex_);
    // Time in which nothing was spent is not saved up.
    due_ = std::max(due_, Clock::now());
    due_ += std::chrono::nanoseconds(static_cast<int64_t>(static_cast<double>(bytes) * 1e9 /
                                                          static_cast<double>(bytes_per_second_)));
    due = due_;
  }
  for (auto now = Clock::now(); now < due; now = Clock::now()) {
    TRY(stop.check());
    std::this_thread::sleep_for(std::min<Clock::duration>(due - now, kLongestNap));
  }
  return stop.check();
}

}  // namespace cryostat
