#include "engine/files/kinds/timerfd.h"

#include <fmt/format.h>
#include <sys/ioctl.h>
#include <sys/timerfd.h>

#include <ctime>

#include "engine/files/collect_context.h"
#include "engine/files/restore_context.h"
#include "engine/procfs/task_handle.h"

namespace cryostat::files {

namespace {

constexpr uint64_t kSecondNs = 1'000'000'000;
constexpr unsigned long kSetTicks = _IOW('T', 0, uint64_t);  // TFD_IOC_SET_TICKS, 3.17

struct timespec to_timespec(uint64_t ns) {
  return {static_cast<time_t>(ns / kSecondNs), static_cast<long>(ns % kSecondNs)};
}

// The clock that an alarm clock counts by.
clockid_t base_clock(int clock_id) {
  if (clock_id == CLOCK_REALTIME_ALARM) return CLOCK_REALTIME;
  if (clock_id == CLOCK_BOOTTIME_ALARM) return CLOCK_BOOTTIME;
  return clock_id;
}

uint64_t clock_now_ns(int clock_id) {
  struct timespec now = {};
  clock_gettime(base_clock(clock_id), &now);
  return static_cast<uint64_t>(now.tv_sec) * kSecondNs + static_cast<uint64_t>(now.tv_nsec);
}

// A periodic timer that has expired is stopped until somebody looks: fdinfo shows no time left and
// too few expirations. timerfd_gettime(2) makes the kernel count on without taking anything away.
Result<procfs::TimerFdInfo> settled_info(const OpenDescription& timer) {
  const auto name = fmt::format("fdinfo/{}", timer.fd().value);
  for (int attempt = 0;; ++attempt) {
    struct itimerspec ignored;
    if (timerfd_gettime(timer.copy.get(), &ignored) != 0) return fail_errno("timerfd_gettime");
    const auto info = TRY(procfs::parse_fdinfo(TRY(timer.task->proc().read(name))));
    if (!info.timerfd)
      return fail(ErrorKind::kRefused,
                  "timerfd whose state this kernel does not tell can't be checkpointed");
    // It may expire between the two.
    const bool stopped = info.timerfd->remaining_ns == 0 && info.timerfd->interval_ns != 0;
    if (!stopped || attempt == 10) return *info.timerfd;
  }
}

Result<void> arm(int fd, const pb::TimerFd& timer) {
  struct itimerspec spec = {};
  spec.it_interval = to_timespec(timer.interval_ns());
  auto flags = static_cast<int>(timer.settime_flags());
  uint64_t value_ns = timer.remaining_ns();
  if (timer.absolute_ns() != 0) {
    value_ns = timer.absolute_ns();
  } else if ((flags & TFD_TIMER_ABSTIME) != 0) {
    value_ns += clock_now_ns(timer.clock_id());
  }
  spec.it_value = to_timespec(value_ns);
  if (timerfd_settime(fd, flags, &spec, nullptr) != 0) return fail_errno("arm a timerfd");
  return {};
}

}  // namespace

bool TimerFdKind::matches(const OpenDescription& description) const {
  return description.anonymous_inode() == "timerfd";
}

Result<void> TimerFdKind::collect(CollectContext&, const OpenDescription& description,
                                  pb::Description& image) const {
  const auto info = TRY(settled_info(description));
  auto& timer = *image.mutable_timer_fd();
  timer.set_clock_id(info.clock_id);
  timer.set_settime_flags(info.settime_flags);
  timer.set_expirations(info.ticks);
  timer.set_remaining_ns(info.remaining_ns);
  timer.set_interval_ns(info.interval_ns);
  // A moment on the wall clock is kept as such; on other clocks the time left is what counts.
  const bool absolute = (info.settime_flags & TFD_TIMER_ABSTIME) != 0;
  if (absolute && base_clock(info.clock_id) == CLOCK_REALTIME && info.remaining_ns != 0)
    timer.set_absolute_ns(clock_now_ns(info.clock_id) + info.remaining_ns);
  return {};
}

bool TimerFdKind::owns(const pb::Description& image) const { return image.has_timer_fd(); }

Result<UniqueFd> TimerFdKind::restore(RestoreContext&, const pb::Description& image) const {
  const auto& timer = image.timer_fd();
  UniqueFd fd(timerfd_create(timer.clock_id(), TFD_CLOEXEC | TFD_NONBLOCK));
  if (!fd) return fail_errno(fmt::format("create a timerfd on clock {}", timer.clock_id()));
  if (timer.remaining_ns() != 0) TRY(arm(fd.get(), timer));
  uint64_t ticks = timer.expirations();
  // After arming, which clears them.
  if (ticks != 0 && ioctl(fd.get(), kSetTicks, &ticks) != 0) {
    const int error = errno;
    auto failure =
        Error::from_errno(error, fmt::format("set {} unread expirations of a timerfd", ticks));
    if (error == ENOTTY)
      failure = std::move(failure)
                    .as(ErrorKind::kMachine)
                    .with_hint("use a kernel built with CONFIG_CHECKPOINT_RESTORE");
    return tl::unexpected(std::move(failure));
  }
  return fd;
}

}  // namespace cryostat::files
