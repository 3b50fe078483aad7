#include "engine/restore/clone_with_pid.h"

#include <fmt/format.h>

#include <cerrno>
#include <chrono>
#include <thread>

#include "engine/restore/pid_holder.h"

namespace cryostat::restore {

namespace {
// The number of a process that was just reaped is freed when its parent has taken down the /proc
// entry, which may take a while on a busy machine.
constexpr int kNumberTries = 2000;
constexpr std::chrono::milliseconds kNumberPause(1);
}  // namespace

Result<int> clone_when_free(HostPid pid, const std::function<Result<int>()>& clone_once) {
  int error = TRY(clone_once());
  for (int i = 0; error == EEXIST && i < kNumberTries && !find_pid_holder(pid.value, i == 0); ++i) {
    std::this_thread::sleep_for(kNumberPause);
    error = TRY(clone_once());
  }
  return error;
}

Failure clone_failed(int error, HostPid pid) {
  std::string what = fmt::format("create a process with pid {}", pid.value);
  if (error == EEXIST) {
    const auto holder = find_pid_holder(pid.value, true);
    if (!holder.has_value()) {
      return tl::unexpected(Error::from_errno(error, std::move(what)).as(ErrorKind::kMachine));
    }
    return tl::unexpected(Error(ErrorKind::kMachine, holder->description).with_hint(holder->hint));
  }
  if (error == EPERM) {
    return tl::unexpected(
        Error::from_errno(error, std::move(what))
            .with_hint("choosing a pid needs CAP_CHECKPOINT_RESTORE (or CAP_SYS_ADMIN) in the "
                       "user namespace that owns the pid namespace"));
  }
  if (error == EINVAL) {
    return tl::unexpected(
        Error::from_errno(error, std::move(what))
            .as(ErrorKind::kMachine)
            .with_hint(
                "the pid must be below kernel.pid_max, and not 1 unless the pid namespace has "
                "no init"));
  }
  return fail_errno(error, std::move(what));
}

clone_args fork_args(const pid_t* pid, uint64_t flags, int exit_signal) {
  clone_args args{};
  args.flags = flags;
  args.exit_signal = static_cast<uint64_t>(exit_signal);
  args.set_tid = reinterpret_cast<uint64_t>(pid);
  args.set_tid_size = 1;
  return args;
}

}  // namespace cryostat::restore
