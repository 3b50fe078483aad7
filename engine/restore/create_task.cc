#include "engine/restore/create_task.h"

#include <fmt/format.h>
#include <linux/sched.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/signalfd.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <optional>

#include "engine/ptrace/tracee.h"
#include "engine/restore/clone_with_pid.h"
#include "engine/restore/intermediate_parent.h"
#include "engine/restore/small_heap.h"
#include "engine/restore/stop_description.h"

namespace cryostat::restore {
namespace {

// A stop request is seen after this time at the latest.
constexpr int kLookEveryMs = 20;

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

// As its tracer, and, if that has become its parent meanwhile, as that.
void reap(HostPid pid) {
  for (;;) {
    int status = 0;
    const pid_t got = waitpid(pid.value, &status, __WALL);
    if (got < 0 && errno != EINTR) return;
  }
}

// Tasks whose parent is killed become children of cr-restore instead of init's, for as long as it
// may have to kill and reap them.
void adopt_orphans(bool adopt) { prctl(PR_SET_CHILD_SUBREAPER, adopt ? 1 : 0, 0, 0, 0); }

// SIGCHLD as something to poll for.
class ChildSignal {
 public:
  ChildSignal() {
    sigset_t only;
    sigemptyset(&only);
    sigaddset(&only, SIGCHLD);
    sigprocmask(SIG_BLOCK, &only, &before_);
    fd_ = UniqueFd(signalfd(-1, &only, SFD_CLOEXEC | SFD_NONBLOCK));
  }
  ChildSignal(const ChildSignal&) = delete;
  ChildSignal& operator=(const ChildSignal&) = delete;
  ~ChildSignal() { sigprocmask(SIG_SETMASK, &before_, nullptr); }

  // Returns when a child changed, `other` is readable, or the time is over.
  void wait(int other, int timeout_ms) const {
    pollfd fds[] = {{other, POLLIN, 0}, {fd_.get(), POLLIN, 0}};
    (void)poll(fds, 2, timeout_ms);
    signalfd_siginfo info;
    (void)!read(fd_.get(), &info, sizeof(info));
  }

 private:
  sigset_t before_;
  UniqueFd fd_;
};

}  // namespace

CreatedTree::CreatedTree(const HostedTree& tree, ChildChannel channel)
    : tree_(&tree), channel_(std::move(channel)) {
  for (const task::Birth& birth : tree.births.plan.births) {
    const bool lives = !birth.is_placeholder() && !tree.births.tasks[birth.task].task.has_zombie();
    if (lives) tasks_.push_back({HostPid(birth.pid), {}, false});
    if (!lives) ++to_end_;
  }
}

CreatedTree::CreatedTree(CreatedTree&& other) noexcept
    : tree_(other.tree_),
      channel_(std::move(other.channel_)),
      tasks_(std::move(other.tasks_)),
      ready_(other.ready_),
      to_end_(other.to_end_),
      owned_(std::exchange(other.owned_, false)) {}

CreatedTree::~CreatedTree() {
  if (!owned_) return;
  adopt_orphans(true);
  // Only numbers that are really ours: one that was not created yet may be somebody else's. Whom we
  // trace we can wait for. Twice: a killed parent may just have forked.
  for (int round = 0; round < 2; ++round) {
    for (const task::Birth& birth : tree_->births.plan.births) {
      siginfo_t info{};
      const bool ours = waitid(P_PID, static_cast<id_t>(birth.pid), &info,
                               WEXITED | WSTOPPED | WNOHANG | WNOWAIT | __WALL) == 0;
      if (!ours) continue;
      // SIGKILL ends a ptrace stop as well.
      kill(birth.pid, SIGKILL);
      reap_threads(HostPid(birth.pid));
      reap(HostPid(birth.pid));
    }
  }
  adopt_orphans(false);
}

CreatedTask* CreatedTree::find(pid_t pid) {
  const auto found = std::find_if(tasks_.begin(), tasks_.end(),
                                  [pid](const CreatedTask& task) { return task.pid.value == pid; });
  return found == tasks_.end() ? nullptr : &*found;
}

Result<void> CreatedTree::seize_root(const CreateOptions& options) {
  unsigned flags = PTRACE_O_EXITKILL | PTRACE_O_TRACESYSGOOD;
  if (options.suspend_seccomp) flags |= PTRACE_O_SUSPEND_SECCOMP;
  Result<void> seized = ptrace::seize(Tid(tree_->births.plan.births.front().pid), flags);
  if (seized.has_value()) return {};
  return tl::unexpected(std::move(seized).error().with_hint(
      options.suspend_seccomp
          ? "a task with seccomp filters is restored with CAP_SYS_ADMIN, outside seccomp"
          : "restoring needs CAP_SYS_PTRACE where ptrace is restricted"));
}

// A new process stands in the stop every traced one begins with. One that is to end by a signal
// gets it; SIGSTOP is the one signal that can't be blocked, and no task is to be stopped yet.
Result<void> CreatedTree::look_at(pid_t pid, int raw_status) {
  const WaitStatus status(raw_status);
  const CreatedTask* live = find(pid);
  const auto& births = tree_->births.plan.births;
  const bool ours = std::any_of(births.begin(), births.end(),
                                [pid](const task::Birth& birth) { return birth.pid == pid; });
  if (!ours) return {};
  if (status.ended()) {
    if (live != nullptr)
      return fail(ErrorKind::kFailed,
                  fmt::format("the new task {} {}", pid, describe_stop(Tid(pid), status)));
    --to_end_;
    return {};
  }
  const bool stopped = status.is(WaitStatus::Kind::kInterrupted) ||
                       status.is(WaitStatus::Kind::kGroupStop) ||
                       (status.is(WaitStatus::Kind::kSignalStop) && status.signal() == SIGSTOP);
  if (stopped) return ptrace::resume(Tid(pid), PTRACE_CONT);
  if (live == nullptr && status.is(WaitStatus::Kind::kSignalStop))
    return ptrace::resume(Tid(pid), PTRACE_CONT, status.signal());
  return fail(ErrorKind::kFailed,
              fmt::format("the new task {} {}", pid, describe_stop(Tid(pid), status)));
}

Result<void> CreatedTree::look_at_children() {
  for (;;) {
    int status = 0;
    const pid_t pid = waitpid(-1, &status, __WALL | WNOHANG);
    if (pid < 0 && errno == EINTR) continue;
    if (pid <= 0) return {};
    TRY(look_at(pid, status));
  }
}

// False when there was none.
Result<bool> CreatedTree::take_message(int timeout_ms) {
  const std::optional<LaunchReport> message = TRY(channel_.receive(timeout_ms));
  if (!message.has_value()) return false;
  CreatedTask* task = find(message->pid);
  if (task == nullptr) return fail(ErrorKind::kFailed, "a message from an unknown task");
  task->launch = *message;
  ++ready_;
  return true;
}

Result<void> CreatedTree::wait_ready(const StopRequest& stop) {
  const ChildSignal changes;
  while (ready_ < tasks_.size() || to_end_ > 0) {
    TRY(stop.check());
    // What a task says comes before how it ended: an error is told, then the task exits.
    for (;;) {
      Result<bool> taken = take_message(0);
      const bool silent =
          !taken.has_value() && taken.error().message() == ChildChannel::kEndedWithoutAWord;
      if (!silent && !TRY(std::move(taken))) break;
      if (silent) {
        TRY(look_at_children());
        return taken.map([](bool) {});
      }
    }
    TRY(look_at_children());
    if (ready_ < tasks_.size() || to_end_ > 0) changes.wait(channel_.fd(), kLookEveryMs);
  }
  return {};
}

void CreatedTree::enter_restorer() {
  tree_->births.rendezvous.arrive(Rendezvous::Point::kReady,
                                  static_cast<uint32_t>(tasks_.size() + 1));
}

Result<CreatedTree> CreatedTree::create(const CreateOptions& options, const HostedTree& tree) {
  using Parent = CreateOptions::Parent;
  const task::TreePlan& plan = tree.births.plan;
  const HostPid pid(plan.births.front().pid);
  if (plan.root_session != 0 && options.parent == Parent::kCallersParent)
    return fail(
        ErrorKind::kRefused,
        fmt::format("the leader of session {} has ended: its members can't be restored with "
                    "--restore-sibling",
                    plan.root_session));
  auto [parent_end, child_end] = TRY(ChildChannel::create());
  const auto child_main = [&parent_end = parent_end, &child_end = child_end, &tree] {
    parent_end.take_fd().reset();
    hosted_child_main(std::move(child_end), tree);
  };
  // With CLONE_PARENT the kernel takes our own exit signal and refuses another (clone(2)).
  const bool sibling = options.parent == Parent::kCallersParent;
  const clone_args args = fork_args(&pid.value, sibling ? CLONE_PARENT : 0, sibling ? 0 : SIGCHLD);
  std::optional<IntermediateParent> between;
  const auto clone_root = [&]() -> Result<int> {
    between.reset();
    clone_args own = args;
    if (options.parent == Parent::kInit || plan.root_session != 0) {
      // Forked by the placeholder of its session leader it is a child of cr-restore all the same.
      if (options.parent == Parent::kCaller) own = fork_args(&pid.value, CLONE_PARENT, 0);
      int failed = 0;
      between.emplace(TRY(IntermediateParent::start(own, child_main, plan.root_session, failed)));
      return failed;
    }
    const long result = syscall(SYS_clone3, &own, sizeof(own));
    if (result == 0) child_main();
    return result < 0 ? errno : 0;
  };
  Result<int> cloned;
  const auto clone = [&] { cloned = clone_when_free(pid, clone_root); };
  if (options.small_heap) {
    run_with_small_heap(clone);
  } else {
    clone();
  }
  if (const int error = TRY(std::move(cloned)); error != 0) return clone_failed(error, pid);
  // The child can't have ended and its number can't have been taken again: it waits for "go".
  CreatedTree created(tree, std::move(parent_end));
  created.tasks_.front().own_child = options.parent == Parent::kCaller;
  TRY(created.seize_root(options));
  TRY(created.channel_.send_go());
  return created;
}

}  // namespace cryostat::restore
