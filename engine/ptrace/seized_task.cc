#include "engine/ptrace/seized_task.h"

#include <fmt/format.h>
#include <sched.h>
#include <sys/ptrace.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <unordered_set>
#include <utility>

#include "engine/base/log.h"
#include "engine/kernel/pidfd.h"
#include "engine/procfs/stat.h"
#include "engine/procfs/status.h"
#include "engine/procfs/task_handle.h"
#include "engine/ptrace/interrupted_wait.h"
#include "engine/ptrace/restartable_sequence.h"

namespace cryostat {
namespace {

// How long the backstop waits for a thread it must stop before it can let it go.
constexpr std::chrono::milliseconds kBackstopTimeout(200);
constexpr std::chrono::seconds kKillTimeout(10);
// A thread that has not stopped after this long may be waiting for others to be collected.
constexpr std::chrono::milliseconds kPatience(20);
const StopRequest kNoStopRequest;

// 'Z', 'S', …; 0 when the thread is gone.
char thread_state(const TaskHandle& task, Tid tid) {
  const auto text = task.proc().read(fmt::format("task/{}/stat", tid.value));
  if (!text.has_value()) return 0;
  const auto stat = procfs::parse_stat(*text);
  return stat.has_value() ? stat->state : 0;
}

bool has_ended(char state) { return state == 0 || state == 'Z' || state == 'X'; }

// Pid of the tracer; 0 when there is none or the thread is gone.
int32_t tracer_of(const TaskHandle& task, Tid tid) {
  const auto text = task.proc().read(fmt::format("task/{}/status", tid.value));
  if (!text.has_value()) return 0;
  const auto status = procfs::parse_status(*text);
  return status.has_value() ? static_cast<int32_t>(status->tracer_pid) : 0;
}

// Why a living thread can't be seized.
Error explain_failed_seizure(const TaskHandle& task, Tid tid, Error error) {
  const auto text = task.proc().read(fmt::format("task/{}/status", tid.value));
  if (!text.has_value()) return error;
  const auto status = procfs::parse_status(*text);
  if (!status.has_value()) return error;
  if (status->tracer_pid != 0) {
    return Error(ErrorKind::kRefused,
                 fmt::format("pid {} is traced by pid {}", task.pid().value, status->tracer_pid))
        .with_hint("end the debugger or tracer first");
  }
  return std::move(error).with_hint("tracing this task needs CAP_SYS_PTRACE");
}

// Puts the signal of a signal-delivery-stop back: a signal that turns out to be blocked after the
// tracer had its say is queued again with all it carried, in the queue it came from
// (ptrace_signal() in kernel/signal.c). The interrupt that is pending stops the thread before it
// runs any code of its own.
Result<void> requeue_signal(Tid tid, int signal, const Deadline& deadline, const StopRequest& stop,
                            WaitStatus& status) {
  const uint64_t mask = TRY(ptrace::get_signal_mask(tid));
  TRY(ptrace::set_signal_mask(tid, ptrace::kAllSignals));
  TRY(ptrace::resume(tid, PTRACE_CONT, signal));
  // Not broken off by a stop request: the mask must be put back first.
  status = TRY(ptrace::wait(tid, deadline, kNoStopRequest));
  if (status.ended()) return {};
  TRY(ptrace::set_signal_mask(tid, mask));
  return stop.check();
}

// A second interrupt may have come after the thread had stopped for the first, and would stop it
// again when it is resumed. One more makes sure that there is one, and the thread runs into it at
// once: a stop takes all that were asked for before it (ptrace_stop() in kernel/signal.c).
Result<WaitStatus> absorb_interrupt(Tid tid, const WaitStatus& status, const Deadline& deadline,
                                    const StopRequest& stop) {
  if (!status.is(WaitStatus::Kind::kInterrupted) && !status.is(WaitStatus::Kind::kGroupStop))
    return status;
  TRY(ptrace::interrupt(tid));
  TRY(ptrace::resume(tid, PTRACE_CONT));
  return ptrace::wait(tid, deadline, stop);
}

Result<std::vector<int>> list_threads(const TaskHandle& task) {
  return find_through_exec([&] { return task.proc().list_numbers("task"); });
}

// The stop a thread stands in although there is nothing to wait for: it was reported under the id
// that the thread had before an exec. Without a value: it runs.
Result<WaitStatus> standing_stop(Tid tid) {
  const auto info = TRY(ptrace::get_siginfo(tid));
  const auto news = TRY(ptrace::poll(tid));
  if (news.has_value()) return *news;
  const bool event = info.si_code >> 8 == PTRACE_EVENT_STOP;
  return WaitStatus((event ? info.si_code : info.si_signo) << 8 | 0x7f);
}

}  // namespace

Result<SeizedTask> SeizedTask::freeze(const TaskHandle& task, const Deadline& deadline,
                                      const StopRequest& stop) {
  SeizedTask seized(task);
  TRY(seized.complete(deadline, stop));
  return seized;
}

Result<SeizedTask> SeizedTask::begin(const TaskHandle& task) {
  SeizedTask seized(task);
  TRY(seized.begin_all());
  return seized;
}

Result<void> SeizedTask::begin_all() {
  for (const int number : TRY_IN(list_threads(*task_), "freeze"))
    if (TRY(seize_thread(Tid(number)))) seized_.emplace_back(number);
  return {};
}

Result<void> SeizedTask::complete(const Deadline& deadline, const StopRequest& stop) {
  TRY(seize_all(deadline, stop));
  return save_threads();
}

SeizedTask::SeizedTask(SeizedTask&& other) noexcept
    : task_(other.task_),
      seized_(std::move(other.seized_)),
      threads_(std::move(other.threads_)),
      status_(std::move(other.status_)),
      stop_signal_(other.stop_signal_),
      seccomp_suspended_(other.seccomp_suspended_),
      overheard_(std::move(other.overheard_)),
      owned_(std::exchange(other.owned_, false)) {}

SeizedTask::~SeizedTask() {
  if (!owned_) return;
  for (const Tid tid : seized_) let_go(tid);
  if (!seized_.empty()) log::debug("pid {}: released {} threads", pid().value, seized_.size());
}

HostPid SeizedTask::pid() const { return task_->pid(); }

Result<const procfs::Status*> SeizedTask::status() {
  if (status_ == nullptr) {
    status_ = std::make_shared<const procfs::Status>(
        TRY(procfs::parse_status(TRY(task_->proc().read("status")))));
  }
  return status_.get();
}

Result<void> SeizedTask::seize_all(const Deadline& deadline, const StopRequest& stop) {
  std::unordered_set<pid_t> begun;
  for (const Tid tid : seized_) begun.insert(tid.value);
  std::unordered_set<pid_t> known;
  int without_leader = 0;  // lists it was not in: for a moment of an exec it is in none
  for (;;) {
    const std::vector<int> listed = TRY_IN(list_threads(*task_), "freeze");
    std::vector<Tid> fresh;
    for (const int number : listed) {
      if (!known.contains(number)) fresh.emplace_back(number);
    }
    if (fresh.empty()) {
      // An exec ends the threads beside it, those that stood already too.
      if (seized_.size() != listed.size()) {
        std::erase_if(seized_, [&](Tid tid) { return std::ranges::count(listed, tid.value) == 0; });
      }
      if (!known.contains(pid().value)) {
        if (++without_leader == kAttemptsToFind) break;
        usleep(kMicrosecondsToFindAgain);
        continue;
      }
      if (TRY(leader_stands(deadline, stop))) break;
      known.erase(pid().value);
      begun.insert(pid().value);
      continue;
    }
    TRY(stop.check());
    if (deadline.expired()) {
      return fail(ErrorKind::kFailed,
                  fmt::format("timed out freezing pid {}: its threads come and go", pid().value));
    }
    std::vector<Tid> settling;
    for (const Tid tid : fresh) {
      if (!begun.contains(tid.value)) {
        if (!TRY(seize_thread(tid))) continue;
        seized_.push_back(tid);
      }
      settling.push_back(tid);
    }
    // All are on their way to the stop by now; most have reached it when their turn comes.
    for (const Tid tid : settling) {
      if (TRY_IN(settle(tid, deadline, stop), fmt::format("freeze pid {}", pid().value))) {
        known.insert(tid.value);
      } else {
        std::erase(seized_, tid);
        begun.erase(tid.value);
      }
    }
    // Threads that are listed but ending leave the list soon.
    if (settling.empty()) sched_yield();
  }
  if (!known.contains(pid().value)) {
    return fail(ErrorKind::kTargetGone, fmt::format("pid {} ended", pid().value));
  }
  return {};
}

Result<bool> SeizedTask::seize_thread(Tid tid) {
  unsigned options = PTRACE_O_TRACESYSGOOD;
  if (seccomp_suspended_) options |= PTRACE_O_SUSPEND_SECCOMP;
  auto seized = ptrace::seize(tid, options);
  if (!seized.has_value() && seccomp_suspended_ && seized_.empty()) {
    // Suspending filters needs CAP_SYS_ADMIN and CONFIG_CHECKPOINT_RESTORE.
    seized = ptrace::seize(tid, PTRACE_O_TRACESYSGOOD);
    if (seized.has_value()) seccomp_suspended_ = false;
  }
  if (!seized.has_value()) {
    const char state = thread_state(*task_, tid);
    // Seized under another id: it executed a program since and took over the main thread's.
    const bool ours = !has_ended(state) && tracer_of(*task_, tid) == gettid();
    // One that is between two ids can't be asked now: it is listed again.
    if (ours) return ptrace::interrupt(tid).has_value();
    if (!has_ended(state)) {
      return tl::unexpected(explain_failed_seizure(*task_, tid, std::move(seized).error()));
    }
    if (tid.value != pid().value) return false;
    if (TRY(list_threads(*task_)).size() > 1) {
      return fail(
          ErrorKind::kRefused,
          fmt::format("pid {}: its main thread has exited while others go on", pid().value));
    }
    return fail(ErrorKind::kTargetGone,
                fmt::format("pid {} {}", pid().value, state == 'Z' ? "is a zombie" : "ended"));
  }
  // Fails only when the thread died since.
  const auto asked = ptrace::interrupt(tid);
  if (!asked.has_value()) log::debug("{}", asked.error().message());
  return true;
}

// A thread that calls execve(2), and the leader of a task that ends, wait in the kernel for the
// other threads, and those, once they are traced, for us to collect them. An exec may also swallow
// the interrupt it was asked for (seen on 6.18): then the thread runs on and is asked again. And
// the thread that executes a program takes over the main thread's id: waiting for that id then
// waits for a thread that nobody traces, which only the engine's own child could ever answer.
Result<WaitStatus> SeizedTask::wait_and_reap(Tid tid, const Deadline& deadline,
                                             const StopRequest& stop) {
  for (bool asked_again = false;; asked_again = true) {
    const auto slice = std::min<std::chrono::nanoseconds>(deadline.left(), kPatience);
    auto status = ptrace::wait(tid, Deadline::in(slice), stop);
    if (status.has_value())
      return asked_again ? absorb_interrupt(tid, *status, deadline, stop) : status;
    if (status.error().kind() == ErrorKind::kTargetGone || deadline.expired()) return status;
    TRY(stop.check());
    if (auto standing = standing_stop(tid); standing.has_value())
      return asked_again ? absorb_interrupt(tid, *standing, deadline, stop) : standing;
    for (const Tid other : seized_) {
      if (other == tid || !has_ended(thread_state(*task_, other))) continue;
      const auto news = ptrace::poll(other);
      // Since then somebody may live under that id: an exec took it over.
      if (news.has_value() && news->has_value() && !(*news)->ended())
        overheard_.insert_or_assign(other.value, **news);
    }
    if (tracer_of(*task_, tid) != gettid())
      return fail(ErrorKind::kTargetGone, fmt::format("thread {} is no longer traced", tid.value));
    (void)ptrace::interrupt(tid);
  }
}

Result<bool> SeizedTask::settle(Tid tid, const Deadline& deadline, const StopRequest& stop) {
  if (const auto known = overheard_.extract(tid.value); !known.empty())
    return settle_from(known.mapped(), tid, deadline, stop);
  return settle_from(wait_and_reap(tid, deadline, stop), tid, deadline, stop);
}

// An exec by another thread ends a main thread that stood already and takes over its id. Under that
// id there is then one that runs, or one that stands and was not waited for.
Result<bool> SeizedTask::leader_stands(const Deadline& deadline, const StopRequest& stop) {
  const Tid leader(pid().value);
  if (overheard_.contains(leader.value)) return settle(leader, deadline, stop);
  const auto news = ptrace::poll(leader);
  if (!news.has_value()) return false;
  if (news->has_value()) return settle_from(**news, leader, deadline, stop);
  const auto registers = ptrace::get_registers(leader);
  return registers.has_value() || registers.error().kind() != ErrorKind::kTargetGone;
}

Result<bool> SeizedTask::settle_from(Result<WaitStatus> first, Tid tid, const Deadline& deadline,
                                     const StopRequest& stop) {
  for (;;) {
    if (!first.has_value()) {
      // After an exec by another thread, or an exit: no longer ours.
      if (first.error().kind() == ErrorKind::kTargetGone) return false;
      return tl::unexpected(std::move(first).error());
    }
    WaitStatus status = *first;
    if (status.is(WaitStatus::Kind::kSignalStop)) {
      // SIGSTOP can't be blocked; it does what it was sent for, and the group stop ends the wait.
      if (status.signal() == SIGSTOP) {
        TRY(ptrace::resume(tid, PTRACE_CONT, SIGSTOP));
        status = TRY(ptrace::wait(tid, deadline, stop));
      } else {
        const auto requeued = requeue_signal(tid, status.signal(), deadline, stop, status);
        if (!requeued.has_value() && requeued.error().kind() != ErrorKind::kTargetGone)
          return tl::unexpected(requeued.error());
        if (!requeued.has_value()) return false;
      }
    }
    if (status.ended()) return false;
    if (status.is(WaitStatus::Kind::kGroupStop)) stop_signal_ = status.signal();
    if (status.is(WaitStatus::Kind::kGroupStop) || status.is(WaitStatus::Kind::kInterrupted))
      return true;
    if (!status.is(WaitStatus::Kind::kSignalStop)) {
      TRY(ptrace::resume(tid, PTRACE_CONT));
      first = ptrace::wait(tid, deadline, stop);
    } else {
      first = status;
    }
  }
}

Result<void> SeizedTask::save_threads() {
  std::sort(seized_.begin(), seized_.end());
  // Leader first: after pids wrapped around, threads may have smaller numbers.
  std::stable_partition(seized_.begin(), seized_.end(),
                        [this](Tid tid) { return tid.value == pid().value; });
  threads_.resize(seized_.size());
  for (size_t i = 0; i < seized_.size(); ++i) {
    threads_[i].tid = seized_[i];
    TRY_IN(save_thread(threads_[i]), "save the registers");
  }
  return abort_restartable_sequences(pid(), threads_);
}

Result<void> SeizedTask::save_thread(SavedThread& thread) {
  thread.registers = TRY(ptrace::get_registers(thread.tid));
  if (restart_interrupted_wait(thread.registers)) {
    TRY(ptrace::set_registers(thread.tid, thread.registers));
  }
  thread.signal_mask = TRY(ptrace::get_signal_mask(thread.tid));
  thread.xstate = TRY(ptrace::get_xstate(thread.tid));
  thread.rseq = TRY(ptrace::get_rseq_config(thread.tid));
  return {};
}

Result<void> SeizedTask::release(Mode mode) {
  owned_ = false;
  if (mode == Mode::kKill) return kill_all();
  // Pending before any thread runs: the first to leave its ptrace stop takes it and stops them all.
  if (mode == Mode::kStop && !was_stopped()) {
    const auto sent = kernel::pidfd_send_signal(task_->pidfd(), SIGSTOP);
    if (!sent.has_value()) {
      owned_ = true;
      return sent;
    }
  }
  return detach_all();
}

Result<void> SeizedTask::detach_all() {
  Result<void> result;
  // The leader last, so that it does not wait for threads that still stand.
  for (auto it = seized_.rbegin(); it != seized_.rend(); ++it) {
    auto detached = ptrace::resume(*it, PTRACE_DETACH);
    if (detached.has_value()) continue;
    let_go(*it);
    // An exec by a thread that runs again has ended this one.
    if (detached.error().kind() == ErrorKind::kTargetGone && tracer_of(*task_, *it) != gettid())
      continue;
    result =
        tl::unexpected(std::move(detached).error().in(fmt::format("release pid {}", pid().value)));
  }
  seized_.clear();
  return result;
}

Result<void> SeizedTask::kill_all() {
  TRY_IN(kernel::pidfd_send_signal(task_->pidfd(), SIGKILL),
         fmt::format("kill pid {}", pid().value));
  kernel::free_memory_of_dying(task_->pidfd());
  const Deadline deadline = Deadline::in(kKillTimeout);
  // The leader, first in the list, is reported only after all others.
  for (auto it = seized_.rbegin(); it != seized_.rend(); ++it) {
    for (;;) {
      const auto status = ptrace::wait(*it, deadline, kNoStopRequest);
      if (!status.has_value() && status.error().kind() != ErrorKind::kTargetGone)
        return tl::unexpected(status.error());
      if (!status.has_value() || status->ended()) break;
    }
  }
  seized_.clear();
  return {};
}

// Detaches a thread in whatever state it is. A signal that it reported but nobody looked at goes
// with it: it is delivered as if there had been no stop.
void SeizedTask::let_go(Tid tid) {
  const auto signal_of = [](const WaitStatus& status) {
    return status.is(WaitStatus::Kind::kSignalStop) ? status.signal() : 0;
  };
  const auto unseen = ptrace::poll(tid);
  if (!unseen.has_value() || (unseen->has_value() && (*unseen)->ended())) return;
  const int signal = unseen->has_value() ? signal_of(**unseen) : 0;
  if (ptrace::resume(tid, PTRACE_DETACH, signal).has_value()) return;
  // It runs.
  if (!ptrace::interrupt(tid).has_value()) return;
  const auto status = ptrace::wait(tid, Deadline::in(kBackstopTimeout), kNoStopRequest);
  if (status.has_value() && status->ended()) return;
  const auto detached =
      ptrace::resume(tid, PTRACE_DETACH, status.has_value() ? signal_of(*status) : 0);
  if (!detached.has_value()) {
    log::warn("{}; it goes on when this process ends", detached.error().message());
  }
}

}  // namespace cryostat
