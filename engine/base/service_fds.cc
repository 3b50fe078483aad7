#include "engine/base/service_fds.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <linux/close_range.h>
#include <sys/resource.h>
#include <sys/syscall.h>

#include <algorithm>
#include <climits>

namespace cryostat {
namespace {

bool contains(const std::vector<int>& sorted, int value) {
  return std::binary_search(sorted.begin(), sorted.end(), value);
}

// Room above the target's highest number that a restore comfortably does with.
constexpr int kServiceRoom = 4096;

// The soft limit, raised when numbers up to `wanted` would not fit below it.
Result<int> limit_for(int wanted) {
  rlimit limit{};
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return fail_errno("getrlimit RLIMIT_NOFILE");
  if (limit.rlim_cur < static_cast<rlim_t>(wanted) && limit.rlim_cur < limit.rlim_max) {
    limit.rlim_cur = limit.rlim_max;
    if (setrlimit(RLIMIT_NOFILE, &limit) != 0) return fail_errno("raise the soft RLIMIT_NOFILE");
  }
  return static_cast<int>(std::min<rlim_t>(limit.rlim_cur, INT_MAX));
}

Result<void> close_between(unsigned first, unsigned last) {
  if (first > last) return {};
  if (syscall(SYS_close_range, first, last, 0) != 0) {
    return fail_errno(fmt::format("close descriptors {} to {}", first, last));
  }
  return {};
}

std::vector<int> merged(const std::vector<int>& a, const std::vector<int>& b) {
  std::vector<int> all;
  all.reserve(a.size() + b.size());
  std::merge(a.begin(), a.end(), b.begin(), b.end(), std::back_inserter(all));
  return all;
}

// Closes everything but the numbers in `kept` (ascending).
Result<void> close_gaps(const std::vector<int>& kept) {
  unsigned next = 0;
  for (const int fd : kept) {
    const auto number = static_cast<unsigned>(fd);
    if (number > next) TRY(close_between(next, number - 1));
    next = number + 1;
  }
  return close_between(next, UINT_MAX);
}

}  // namespace

Result<ServiceFds> ServiceFds::create(std::vector<int> target_numbers) {
  std::sort(target_numbers.begin(), target_numbers.end());
  const int highest = target_numbers.empty() ? 2 : target_numbers.back();
  if (!target_numbers.empty() && (target_numbers.front() < 0 || highest > INT_MAX - kServiceRoom)) {
    return fail(ErrorKind::kImages, fmt::format("descriptor number {} is impossible", highest));
  }
  const int limit = TRY(limit_for(highest + kServiceRoom));
  if (highest >= limit) {
    return tl::unexpected(
        Error(ErrorKind::kMachine,
              fmt::format("descriptor {} of the target is not below the limit of {} "
                          "open files",
                          highest, limit))
            .with_hint("raise the hard limit (ulimit -Hn) of the shell that runs cr-restore"));
  }
  return ServiceFds(std::move(target_numbers), limit);
}

Result<int> ServiceFds::number_below(int fd) const {
  for (int number = limit_ - 1; number > 2; --number) {
    const bool open = fcntl(number, F_GETFD) >= 0;
    if (open || is_target(number)) continue;
    if (dup3(fd, number, O_CLOEXEC) < 0)
      return fail_errno(fmt::format("move descriptor {} to {}", fd, number));
    return number;
  }
  return fail(ErrorKind::kMachine,
              fmt::format("no descriptor number is left below the limit of {}", limit_));
}

Result<int> ServiceFds::adopt_copy(int fd) {
  const int highest = target_numbers_.empty() ? 2 : target_numbers_.back();
  // The smallest free number: one that is open may still be needed by someone.
  int number = fcntl(fd, F_DUPFD_CLOEXEC, highest + 1);
  if (number < 0 && errno != EMFILE && errno != EINVAL) {
    return fail_errno(fmt::format("keep descriptor {}", fd));
  }
  if (number < 0) number = TRY(number_below(fd));
  numbers_.insert(std::lower_bound(numbers_.begin(), numbers_.end(), number), number);
  return number;
}

Result<int> ServiceFds::adopt(UniqueFd fd) { return adopt_copy(fd.get()); }

void ServiceFds::drop(int fd) {
  const auto at = std::lower_bound(numbers_.begin(), numbers_.end(), fd);
  if (at == numbers_.end() || *at != fd) return;
  numbers_.erase(at);
  close(fd);
}

bool ServiceFds::is_service(int fd) const { return contains(numbers_, fd); }
bool ServiceFds::is_target(int fd) const { return contains(target_numbers_, fd); }

Result<void> ServiceFds::close_others() const {
  return close_gaps(merged(merged(numbers_, target_numbers_), spared_));
}

Result<void> ServiceFds::close_all_but_service() const {
  return close_gaps(merged(numbers_, spared_));
}

void ServiceFds::spare(const std::vector<int>& numbers) {
  spared_.insert(spared_.end(), numbers.begin(), numbers.end());
  std::sort(spared_.begin(), spared_.end());
}

}  // namespace cryostat
