#include "engine/restore/blob_run.h"

#include <fmt/format.h>
#include <signal.h>
#include <sys/ptrace.h>

#include "engine/base/span.h"
#include "engine/kernel/process_memory.h"
#include "engine/ptrace/tracee.h"
#include "engine/restore/stop_description.h"
#include "engine/task/state_detail.h"
#include "proto/wire/restorer.h"

namespace cryostat::restore {
namespace {

using wire::RestorerPlan;
using wire::RestorerStep;
using wire::RestorerThread;

// Filling memory takes as long as it takes; a stop request ends it.
constexpr std::chrono::hours kAnyTime(24 * 365);

const char* step_name(uint32_t step) {
  switch (static_cast<RestorerStep>(step)) {
    case RestorerStep::kStarted:
      return "start";
    case RestorerStep::kUnmap:
      return "unmap what the child had";
    case RestorerStep::kMap:
      return "map the target's memory";
    case RestorerStep::kFill:
      return "fill the target's memory";
    case RestorerStep::kProtect:
      return "protect the target's memory";
    case RestorerStep::kLayout:
      return "set the memory layout";
    case RestorerStep::kVdso:
      return "move the vDSO";
    case RestorerStep::kFileLocks:
      return "set record locks";
    case RestorerStep::kThreads:
      return "create threads";
    case RestorerStep::kTaskState:
      return "restore the task's state";
    case RestorerStep::kThreadState:
      return "restore a thread's state";
    case RestorerStep::kDone:
      return "finish";
  }
  return "unknown step";
}

std::string detail_text(uint32_t step, uint64_t detail) {
  switch (static_cast<RestorerStep>(step)) {
    case RestorerStep::kFileLocks:
      return fmt::format("descriptor {}", detail);
    case RestorerStep::kThreads:
      return fmt::format("tid {}", detail);
    case RestorerStep::kTaskState:
    case RestorerStep::kThreadState:
      return task::describe_state_detail(detail);
    default:
      return fmt::format("address {:#x}", detail);
  }
}

Failure step_failed(Tid tid, uint32_t step, int32_t error, uint64_t detail) {
  Error failure =
      Error::from_errno(-error, fmt::format("restorer of thread {}: {}: {}", tid.value,
                                            step_name(step), detail_text(step, detail)));
  // ESRCH in there is not a target that has gone.
  if (failure.kind() == ErrorKind::kTargetGone) std::move(failure).as(ErrorKind::kFailed);
  if (static_cast<RestorerStep>(step) == RestorerStep::kThreads && error == -EEXIST) {
    std::move(failure)
        .as(ErrorKind::kMachine)
        .with_hint(fmt::format("end the process or thread that has number {} now", detail));
  }
  if (static_cast<RestorerStep>(step) == RestorerStep::kFileLocks && error == -EAGAIN) {
    std::move(failure).as(ErrorKind::kMachine).with_hint("another process holds the lock now");
  }
  return tl::unexpected(std::move(failure));
}

Result<RestorerPlan> read_plan(const CreatedTask& task, const LaunchReport& launch) {
  return kernel::read_object<RestorerPlan>(task.pid, RemoteAddr(launch.plan));
}

// The first thread that failed, as an Error.
Result<void> check_threads(const CreatedTask& task, const LaunchReport& launch) {
  std::vector<RestorerThread> threads(launch.thread_count);
  TRY(kernel::read_memory(task.pid, RemoteAddr(launch.plan + launch.threads_offset),
                          std::as_writable_bytes(std::span(threads))));
  for (const RestorerThread& thread : threads) {
    if (thread.error != 0) {
      return step_failed(Tid(thread.tid), thread.step, thread.error, thread.detail);
    }
  }
  return {};
}

Result<void> check_blob(const CreatedTask& task, const LaunchReport& launch,
                        RestorerStep expected) {
  const RestorerPlan plan = TRY(read_plan(task, launch));
  if (plan.error == 0 && plan.step == static_cast<uint32_t>(expected)) return {};
  TRY(check_threads(task, launch));
  return step_failed(Tid(task.pid.value), plan.step, plan.error != 0 ? plan.error : -EPROTO,
                     plan.detail);
}

// Waits for the int3 with which a thread says that it is done. Stops that others cause (SIGSTOP is
// the one signal that can't be blocked) are passed over; anything else is a fault of the blob's.
Result<void> wait_for_int3(const CreatedTask& task, const LaunchReport& launch, Tid tid,
                           const StopRequest& stop) {
  for (;;) {
    const WaitStatus status = TRY(ptrace::wait(tid, Deadline::in(kAnyTime), stop));
    const bool signalled = status.is(WaitStatus::Kind::kSignalStop);
    if (signalled && status.signal() == SIGTRAP) return {};
    const bool harmless = status.is(WaitStatus::Kind::kInterrupted) ||
                          status.is(WaitStatus::Kind::kGroupStop) ||
                          (signalled && status.signal() == SIGSTOP);
    if (harmless) {
      TRY(ptrace::resume(tid, PTRACE_CONT));
      continue;
    }
    const Result<RestorerPlan> plan = read_plan(task, launch);
    return fail(
        ErrorKind::kFailed,
        fmt::format("restorer of thread {} {}; step: {}", tid.value, describe_stop(tid, status),
                    plan.has_value() ? step_name(plan->step) : "not known"));
  }
}

// New threads stand in the stop every traced thread begins with.
Result<void> let_threads_go(const std::vector<Tid>& tids, const StopRequest& stop) {
  for (size_t i = 1; i < tids.size(); ++i) {
    const WaitStatus status = TRY(ptrace::wait(tids[i], Deadline::in(kAnyTime), stop));
    if (!status.is(WaitStatus::Kind::kInterrupted)) {
      return fail(ErrorKind::kFailed,
                  fmt::format("new thread {} {}", tids[i].value, describe_stop(tids[i], status)));
    }
    TRY(ptrace::resume(tids[i], PTRACE_CONT));
  }
  return ptrace::resume(tids[0], PTRACE_CONT);
}

}  // namespace

Result<void> wait_for_memory(const CreatedTask& task, const StopRequest& stop) {
  Span span("restorer.memory");
  TRY(wait_for_int3(task, task.launch, Tid(task.pid.value), stop));
  return check_blob(task, task.launch, RestorerStep::kTaskState);
}

Result<void> wait_for_threads(const CreatedTask& task, const std::vector<Tid>& tids,
                              const StopRequest& stop) {
  Span span("restorer.threads");
  TRY(let_threads_go(tids, stop));
  // The others first: none of them waits for another, while the leader waits for them all. So a
  // thread that faults is seen instead of waited for.
  for (size_t i = 1; i < tids.size(); ++i) TRY(wait_for_int3(task, task.launch, tids[i], stop));
  TRY(wait_for_int3(task, task.launch, tids[0], stop));
  return check_blob(task, task.launch, RestorerStep::kDone);
}

}  // namespace cryostat::restore
