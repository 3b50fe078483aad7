#include "engine/ptrace/seized_task.h"

#include <errno.h>
#include <fmt/format.h>
#include <poll.h>
#include <signal.h>
#include <sys/ptrace.h>
#include <sys/wait.h>

#include <algorithm>
#include <unordered_set>

#include "engine/base/log.h"
#include "engine/kernel/pidfd.h"
#include "engine/procfs/stat.h"
#include "engine/procfs/status.h"
#include "engine/ptrace/child_signal.h"
#include "engine/ptrace/rseq_section.h"

namespace cryostat {

namespace {
constexpr unsigned kOptions = PTRACE_O_TRACESYSGOOD;
constexpr unsigned kSuspendSeccomp = 1u << 21;  // PTRACE_O_SUSPEND_SECCOMP (4.3)
constexpr uint64_t kAllSignals = ~uint64_t{0};
}  // namespace

// Brings the task from running to all stopped. On failure the half-frozen task is its SeizedTask's to
// release.
class SeizedTask::Freezer {
 public:
  Freezer(SeizedTask& task, const Deadline& deadline, const StopRequest& stop)
      : task_(task), deadline_(deadline), stop_(stop) {}

  Result<void> run() {
    TRY(choose_options());
    // A thread may start another one until it is stopped itself: only a pass that begins with all known
    // threads stopped and finds no new one is the end.
    while (TRY(seize_new_threads())) TRY(await_stops());
    for (SavedThread& thread : task_.threads_) TRY(save(thread));
    return put_leader_first();
  }

 private:
  struct Pending {
    Tid tid;
    uint64_t mask = 0;
    bool requeueing = false;  // all signals blocked so that one in delivery goes back to the queue
  };

  Result<void> choose_options();
  Result<bool> seize_new_threads();
  Result<bool> seize_one(Tid tid);
  Result<void> explain_failed_seize(Tid tid, Error error);
  Result<void> await_stops();
  // True when the thread stands (or has gone).
  Result<bool> look_at(Pending& pending);
  Result<bool> settle(Pending& pending, const ptrace::ThreadStop& stop);
  Result<void> save(SavedThread& thread);
  Result<void> put_leader_first();

  SeizedTask& task_;
  const Deadline& deadline_;
  const StopRequest& stop_;
  ptrace::ChildSignal child_signal_;
  unsigned options_ = kOptions;
  std::unordered_set<pid_t> known_;
  std::vector<Pending> pending_;
};

Result<void> SeizedTask::Freezer::choose_options() {
  const auto status =
      TRY(procfs::parse_status(TRY(task_.handle_->proc().read("status"))));
  if (status.tracer_pid != 0) {
    return tl::unexpected(
        Error(ErrorKind::kRefused, fmt::format("pid {} is traced by pid {}", task_.pid().value,
                                               status.tracer_pid))
            .with_hint("a task has one tracer at a time: end the debugger or tracer first"));
  }
  options_ |= kSuspendSeccomp;
  task_.seccomp_suspended_ = true;
  return {};
}

Result<bool> SeizedTask::Freezer::seize_new_threads() {
  bool found = false;
  for (const int number : TRY(task_.handle_->proc().list_numbers("task"))) {
    if (known_.contains(number)) continue;
    if (TRY(seize_one(Tid(number)))) found = true;
    TRY(stop_.check());
    if (deadline_.expired()) {
      return fail(ErrorKind::kFailed, fmt::format("pid {} makes threads faster than they can be "
                                                  "stopped: timed out",
                                                  task_.pid().value));
    }
  }
  return found;
}

Result<bool> SeizedTask::Freezer::seize_one(Tid tid) {
  auto seized = ptrace::seize(tid, options_);
  const bool no_suspend = !seized && (options_ & kSuspendSeccomp) != 0 &&
                          (seized.error().errno_value() == EPERM ||
                           seized.error().errno_value() == EINVAL);
  if (no_suspend) {
    // Suspending seccomp needs CAP_SYS_ADMIN (and a tracer without seccomp); most targets do without.
    seized = ptrace::seize(tid, kOptions);
    if (seized) {
      options_ = kOptions;
      task_.seccomp_suspended_ = false;
    }
  }
  if (!seized) {
    if (seized.error().errno_value() == ESRCH) return false;  // it ended meanwhile
    TRY(explain_failed_seize(tid, std::move(seized).error()));
    return false;
  }
  known_.insert(tid.value);
  SavedThread thread;
  thread.tid = tid;
  task_.threads_.push_back(std::move(thread));
  pending_.push_back({tid});
  auto interrupted = ptrace::interrupt(tid);
  if (!interrupted && interrupted.error().errno_value() != ESRCH) TRY(std::move(interrupted));
  return true;
}

// Nothing when the thread is just ending; the error with its reason otherwise.
Result<void> SeizedTask::Freezer::explain_failed_seize(Tid tid, Error error) {
  const auto dir = task_.handle_->proc().thread(tid);
  if (!dir) return {};
  const auto text = dir->read("stat");
  if (!text) return {};
  const auto stat = TRY(procfs::parse_stat(*text));
  const bool ended = stat.state == 'Z' || stat.state == 'X';
  const bool leader = tid.value == task_.pid().value;
  if (ended && !leader) return {};
  if (ended) {
    return fail(ErrorKind::kRefused,
                fmt::format("pid {}: its leader thread has exited; such a task can't be checkpointed",
                            task_.pid().value));
  }
  const auto status = procfs::parse_status(TRY(dir->read("status")));
  if (status && status->tracer_pid != 0) {
    return fail(ErrorKind::kRefused, fmt::format("thread {} is traced by pid {}", tid.value,
                                                 status->tracer_pid));
  }
  return tl::unexpected(std::move(error).with_hint(
      "tracing it needs the same user ids, or CAP_SYS_PTRACE"));
}

Result<void> SeizedTask::Freezer::await_stops() {
  for (;;) {
    std::vector<Pending> still;
    for (Pending& pending : pending_) {
      if (!TRY(look_at(pending))) still.push_back(pending);
    }
    pending_ = std::move(still);
    if (pending_.empty()) return {};
    TRY_IN(child_signal_.wait(deadline_, stop_),
           fmt::format("waiting for thread {} to stop", pending_.front().tid.value));
  }
}

Result<bool> SeizedTask::Freezer::look_at(Pending& pending) {
  ptrace::ThreadStop stop;
  while (TRY(ptrace::poll_stop(pending.tid, stop))) {
    if (stop.kind == ptrace::ThreadStop::Kind::kEnded) {
      if (pending.tid.value == task_.pid().value) {
        return fail(ErrorKind::kTargetGone,
                    fmt::format("pid {} ended while it was being frozen", task_.pid().value));
      }
      std::erase_if(task_.threads_, [&](const auto& t) { return t.tid == pending.tid; });
      return true;
    }
    if (TRY(settle(pending, stop))) return true;
  }
  return false;
}

Result<bool> SeizedTask::Freezer::settle(Pending& pending, const ptrace::ThreadStop& stop) {
  using Kind = ptrace::ThreadStop::Kind;
  if (stop.kind == Kind::kEvent) {
    if (stop.signal != SIGTRAP) task_.stop_signal_ = stop.signal;
    if (pending.requeueing) TRY(ptrace::set_signal_mask(pending.tid, pending.mask));
    return true;
  }
  if (stop.kind == Kind::kSyscall) {
    TRY(ptrace::resume(pending.tid, PTRACE_CONT));
    return false;
  }
  // A signal on its way to the thread. Injected while it is blocked, the kernel puts it back into the
  // queue with its siginfo (kernel/signal.c, ptrace_signal); the interrupt is taken next.
  if (!pending.requeueing) {
    pending.mask = TRY(ptrace::get_signal_mask(pending.tid));
    TRY(ptrace::set_signal_mask(pending.tid, kAllSignals));
    pending.requeueing = true;
  }
  TRY(ptrace::resume(pending.tid, PTRACE_CONT, stop.signal));
  return false;
}

Result<void> SeizedTask::Freezer::save(SavedThread& thread) {
  thread.registers = TRY(ptrace::get_registers(thread.tid));
  TRY(ptrace::get_xstate(thread.tid, thread.xstate));
  thread.signal_mask = TRY(ptrace::get_signal_mask(thread.tid));
  if (auto rseq = ptrace::get_rseq(thread.tid)) {
    thread.rseq = *rseq;
  } else if (rseq.error().kind() != ErrorKind::kMachine) {
    return tl::unexpected(std::move(rseq).error());
  }
  const uint64_t at = ptrace::rseq_resume_address(task_.pid(), thread.rseq, thread.registers.rip);
  if (at != thread.registers.rip) {
    thread.registers.rip = at;
    TRY(ptrace::set_registers(thread.tid, thread.registers));
  }
  return {};
}

Result<void> SeizedTask::Freezer::put_leader_first() {
  auto& threads = task_.threads_;
  const auto leader = std::find_if(threads.begin(), threads.end(), [&](const auto& thread) {
    return thread.tid.value == task_.pid().value;
  });
  if (leader == threads.end()) {
    return fail(ErrorKind::kTargetGone, fmt::format("pid {} is gone", task_.pid().value));
  }
  std::rotate(threads.begin(), leader, leader + 1);
  return {};
}

Result<SeizedTask> SeizedTask::freeze(const TaskHandle& handle, const Deadline& deadline,
                                      const StopRequest& stop) {
  SeizedTask task(handle);
  TRY_IN(Freezer(task, deadline, stop).run(), fmt::format("freeze pid {}", handle.pid().value));
  return task;
}

SeizedTask::SeizedTask(SeizedTask&& other) noexcept
    : handle_(other.handle_),
      threads_(std::move(other.threads_)),
      stop_signal_(other.stop_signal_),
      seccomp_suspended_(other.seccomp_suspended_),
      held_(std::exchange(other.held_, false)) {}

SeizedTask::~SeizedTask() {
  if (held_) detach_all();
}

// A thread that is still on its way to a stop (a failed freeze) must stop before it can be let go;
// PTRACE_DETACH fails with ESRCH until then.
void SeizedTask::detach_all() {
  held_ = false;
  for (const SavedThread& thread : threads_) {
    if (::ptrace(PTRACE_DETACH, thread.tid.value, nullptr, 0) == 0) continue;
    auto stop = ptrace::wait_for_stop(thread.tid);
    if (!stop || stop->kind == ptrace::ThreadStop::Kind::kEnded) continue;
    // A signal in delivery goes with the thread.
    const bool delivering = stop->kind == ptrace::ThreadStop::Kind::kSignal ||
                            stop->kind == ptrace::ThreadStop::Kind::kTrap;
    if (::ptrace(PTRACE_DETACH, thread.tid.value, nullptr, delivering ? stop->signal : 0) != 0) {
      log::warn("thread {} could not be let go: {}", thread.tid.value, errno_name(errno));
    }
  }
}

Result<void> SeizedTask::release(Mode mode) {
  if (mode == Mode::kStop && !was_stopped()) {
    // Queued now, taken by the first thread that is let go: no instruction runs in between.
    TRY(kernel::pidfd_send_signal(handle_->pidfd(), SIGSTOP));
  }
  if (mode != Mode::kKill) {
    detach_all();
    return {};
  }
  TRY(kernel::pidfd_send_signal(handle_->pidfd(), SIGKILL));
  held_ = false;
  // A tracer is told of the end of every thread, and the parent only after it.
  for (const SavedThread& thread : threads_) {
    if (thread.tid.value == pid().value) continue;
    while (true) {
      auto stop = ptrace::wait_for_stop(thread.tid);
      if (!stop || stop->kind == ptrace::ThreadStop::Kind::kEnded) break;
    }
  }
  while (true) {
    auto stop = ptrace::wait_for_stop(Tid(pid().value));
    if (!stop || stop->kind == ptrace::ThreadStop::Kind::kEnded) break;
  }
  return {};
}

}  // namespace cryostat
