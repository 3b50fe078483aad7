#include "engine/ptrace/child_signal.h"

#include <time.h>

#include <algorithm>

namespace cryostat::ptrace {

namespace {
constexpr std::chrono::nanoseconds kLongestNap = std::chrono::milliseconds(20);

sigset_t child_only() {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGCHLD);
  return set;
}
}  // namespace

ChildSignal::ChildSignal() {
  const sigset_t set = child_only();
  pthread_sigmask(SIG_BLOCK, &set, &previous_);
}

ChildSignal::~ChildSignal() { pthread_sigmask(SIG_SETMASK, &previous_, nullptr); }

Result<void> ChildSignal::wait(const Deadline& deadline, const StopRequest& stop) {
  TRY(stop.check());
  const auto nap = std::min(deadline.left(), kLongestNap);
  if (nap.count() == 0) return fail(ErrorKind::kFailed, "timed out");
  const timespec timeout{0, static_cast<long>(nap.count())};
  const sigset_t set = child_only();
  (void)sigtimedwait(&set, nullptr, &timeout);  // EAGAIN and EINTR: time to look again as well
  return {};
}

}  // namespace cryostat::ptrace
