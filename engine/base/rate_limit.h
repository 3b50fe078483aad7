// Holds work in the background to so many bytes a second.
#pragma once

#include <chrono>
#include <cstdint>
#include <mutex>

#include "engine/base/deadline.h"
#include "engine/base/error.h"

namespace cryostat {

// For any number of threads.
class RateLimit {
 public:
  // 0: no limit.
  explicit RateLimit(uint64_t bytes_per_second) : bytes_per_second_(bytes_per_second) {}
  bool limited() const { return bytes_per_second_ != 0; }
  // What is best spent at a time: a fiftieth of a second's worth, whole pages, at most `most`.
  uint64_t portion_bytes(uint64_t most) const;
  // Accounts for `bytes` that were moved and sleeps until they are due. The first starts the clock.
  // Broken off by a stop request.
  Result<void> spend(uint64_t bytes, const StopRequest& stop);

 private:
  using Clock = std::chrono::steady_clock;
  const uint64_t bytes_per_second_;
  std::mutex mutex_;
  Clock::time_point due_{};  // when everything spent so far may be done
};

}  // namespace cryostat
