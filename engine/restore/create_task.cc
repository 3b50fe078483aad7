#include "engine/restore/create_task.h"
#include "engine/restore/pid_holder.h"

#include <fmt/format.h>
#include <linux/sched.h>
#include <signal.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <filesystem>
#include <optional>
#include <thread>

#include "engine/ptrace/tracee.h"
#include "engine/restore/intermediate_parent.h"
#include "engine/restore/pid_holder.h"
#include "engine/restore/stop_description.h"

namespace cryostat::restore {
namespace {

// How long a look at the channel lasts before the child itself is looked at.
constexpr int kLookEveryMs = 20;

// The number of a process that was just reaped is freed when its parent has taken down the /proc
// entry, which may take a while on a busy machine.
constexpr int kNumberTries = 2000;
constexpr std::chrono::milliseconds kNumberPause(1);

Failure creation_failed(int error, HostPid pid) {
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

// A traced thread that died stays a zombie until its tracer has waited for it, and the leader's end
// is only reported after all others'.
void reap_threads(HostPid pid) {
  std::error_code ignored;
  const auto tasks = fmt::format("/proc/{}/task", pid.value);
  for (const auto& entry : std::filesystem::directory_iterator(tasks, ignored)) {
    const int tid = std::atoi(entry.path().filename().c_str());
    if (tid <= 0 || tid == pid.value) continue;
    int status = 0;
    while (waitpid(tid, &status, __WALL) == tid && !WIFEXITED(status) && !WIFSIGNALED(status)) {
    }
  }
}

Result<UniqueFd> open_pidfd(HostPid pid) {
  UniqueFd pidfd(static_cast<int>(syscall(SYS_pidfd_open, pid.value, 0)));
  if (!pidfd) return fail_errno(fmt::format("pidfd_open of the new task {}", pid.value));
  return pidfd;
}

}  // namespace

CreatedTask::CreatedTask(CreatedTask&& other) noexcept
    : pid_(other.pid_),
      pidfd_(std::move(other.pidfd_)),
      channel_(std::move(other.channel_)),
      owned_(std::exchange(other.owned_, false)),
      own_child_(other.own_child_) {}

CreatedTask::~CreatedTask() {
  if (!owned_) return;
  // SIGKILL ends a ptrace stop as well.
  syscall(SYS_pidfd_send_signal, pidfd_.get(), SIGKILL, nullptr, 0);
  reap_threads(pid_);
  int status = 0;
  for (;;) {
    const pid_t got = waitpid(pid_.value, &status, __WALL);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0 || WIFEXITED(status) || WIFSIGNALED(status)) break;
  }
}

Result<void> CreatedTask::seize(const CreateOptions& options) {
  unsigned flags = PTRACE_O_EXITKILL | PTRACE_O_TRACESYSGOOD;
  if (options.suspend_seccomp) flags |= PTRACE_O_SUSPEND_SECCOMP;
  Result<void> seized = ptrace::seize(Tid(pid_.value), flags);
  if (seized.has_value()) return {};
  return tl::unexpected(std::move(seized).error().with_hint(
      options.suspend_seccomp
          ? "a task with seccomp filters is restored with CAP_SYS_ADMIN, outside seccomp"
          : "restoring needs CAP_SYS_PTRACE where ptrace is restricted"));
}

Result<void> CreatedTask::look_at_child() {
  const Tid tid(pid_.value);
  const std::optional<WaitStatus> status = TRY(ptrace::poll(tid));
  if (!status.has_value()) return {};
  // SIGSTOP is the one signal that can't be blocked; the task is not to be stopped yet.
  const bool stopped = status->is(WaitStatus::Kind::kInterrupted) ||
                       status->is(WaitStatus::Kind::kGroupStop) ||
                       (status->is(WaitStatus::Kind::kSignalStop) && status->signal() == SIGSTOP);
  if (stopped) return ptrace::resume(tid, PTRACE_CONT);
  return fail(ErrorKind::kFailed,
              fmt::format("the new task {} {}", pid_.value, describe_stop(tid, *status)));
}

Result<LaunchReport> CreatedTask::wait_ready(const StopRequest& stop) {
  for (;;) {
    TRY(stop.check());
    Result<std::optional<LaunchReport>> message = channel_.receive(kLookEveryMs);
    if (message.has_value() && message->has_value()) return **message;
    // A child that ended without a word tells more itself: how it died.
    const bool silent =
        message.has_value() || message.error().message() == ChildChannel::kEndedWithoutAWord;
    if (!silent) return tl::unexpected(std::move(message).error());
    TRY(look_at_child());
  }
}

Result<CreatedTask> create_root(HostPid pid, const CreateOptions& options, const HostedPlan& plan) {
  using Parent = CreateOptions::Parent;
  auto [parent_end, child_end] = TRY(ChildChannel::create());
  const auto child_main = [&parent_end = parent_end, &child_end = child_end, &plan] {
    parent_end.take_fd().reset();
    hosted_child_main(std::move(child_end), plan);
  };
  pid_t wanted = pid.value;
  clone_args args{};
  args.flags = options.parent == Parent::kCallersParent ? CLONE_PARENT : 0;
  // With CLONE_PARENT the kernel takes our own exit signal and refuses another (clone(2)).
  args.exit_signal = options.parent == Parent::kCallersParent ? 0 : SIGCHLD;
  args.set_tid = reinterpret_cast<uint64_t>(&wanted);
  args.set_tid_size = 1;
  std::optional<IntermediateParent> between;
  const auto clone_once = [&]() -> Result<int> {
    between.reset();
    int error = 0;
    if (options.parent == Parent::kInit) {
      between.emplace(TRY(IntermediateParent::start(args, child_main, error)));
      return error;
    }
    const long result = syscall(SYS_clone3, &args, sizeof(args));
    if (result == 0) child_main();
    return result < 0 ? errno : 0;
  };
  int error = TRY(clone_once());
  for (int i = 0; error == EEXIST && i < kNumberTries && !find_pid_holder(pid.value, i == 0); ++i) {
    std::this_thread::sleep_for(kNumberPause);
    error = TRY(clone_once());
  }
  if (error != 0) return creation_failed(error, pid);
  // The child can't have ended and its number can't have been taken again: it waits for "go".
  CreatedTask task(pid, TRY(open_pidfd(pid)), std::move(parent_end));
  task.own_child_ = options.parent == Parent::kCaller;
  TRY(task.seize(options));
  TRY(task.channel_.send_go());
  return task;
}

}  // namespace cryostat::restore
