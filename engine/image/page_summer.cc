#include "engine/image/page_summer.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <system_error>

#include "engine/base/ids.h"
#include "engine/base/signals_blocked.h"

namespace cryostat::image {

namespace {

// What is read at once, and hashed while it lies in the second level cache.
constexpr size_t kStepPages = 64;
// Fewer pages are hashed before a thread would have been started.
constexpr size_t kFewPages = 256;

Result<void> read_pages(int fd, uint8_t* to, size_t bytes, uint64_t offset,
                        const std::string& path) {
  while (bytes > 0) {
    const ssize_t got = pread(fd, to, bytes, static_cast<off_t>(offset));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return fail_errno(fmt::format("read {} back", path));
    if (got == 0) return fail(ErrorKind::kFailed, fmt::format("{} is shorter than written", path));
    to += got;
    bytes -= static_cast<size_t>(got);
    offset += static_cast<uint64_t>(got);
  }
  return {};
}

Result<std::vector<PageSum>> sum_pages(int fd, uint64_t first_index, size_t count,
                                       const std::string& path) {
  alignas(kPageSize) uint8_t buffer[kStepPages * kPageSize];  // aligned for O_DIRECT
  std::vector<PageSum> sums;
  sums.reserve(count);
  while (sums.size() < count) {
    const size_t pages = std::min(kStepPages, count - sums.size());
    TRY(read_pages(fd, buffer, pages * kPageSize, (first_index + sums.size()) * kPageSize, path));
    for (size_t i = 0; i < pages; ++i) sums.push_back(page_sum(buffer + i * kPageSize));
  }
  return sums;
}

}  // namespace

void PageSummer::start(uint64_t first_index, size_t count) {
  const auto work = [fd = pages_fd_, path = path_, first_index, count] {
    return sum_pages(fd, first_index, count, path);
  };
  if (count > kFewPages) {
    const AllSignalsBlocked inherited_by_the_thread;
    try {
      pending_ = std::async(std::launch::async, work);
      return;
    } catch (const std::system_error&) {
      // no thread to be had: finish() does the work
    }
  }
  pending_ = std::async(std::launch::deferred, work);
}

Result<std::vector<PageSum>> PageSummer::finish() {
  if (!pending_.valid()) return std::vector<PageSum>();
  return pending_.get();
}

}  // namespace cryostat::image
