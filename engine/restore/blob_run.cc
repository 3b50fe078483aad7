#include "engine/restore/blob_run.h"

#include <fmt/format.h>
#include <signal.h>
#include <sys/ptrace.h>

#include "engine/base/span.h"
#include "engine/restore/traced_thread.h"
#include "engine/task/state_detail.h"
#include "proto/wire/restorer.h"

namespace cryostat::restore {
namespace {

using wire::RestorerPlan;
using wire::RestorerStep;
using wire::RestorerThread;

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

template <typename T>
std::span<unsigned char> as_bytes(T* items, size_t count) {
  return {reinterpret_cast<unsigned char*>(items), count * sizeof(T)};
}

Result<RestorerPlan> read_plan(const CreatedTask& task, const LaunchReport& launch) {
  RestorerPlan plan;
  TRY(read_memory(task.pid(), launch.plan, as_bytes(&plan, 1)));
  return plan;
}

// The first thread that failed, as an Error.
Result<void> check_threads(const CreatedTask& task, const LaunchReport& launch) {
  std::vector<RestorerThread> threads(launch.thread_count);
  TRY(read_memory(task.pid(), launch.plan + launch.threads_offset,
                  as_bytes(threads.data(), threads.size())));
  for (const RestorerThread& thread : threads) {
    if (thread.error != 0)
      return step_failed(Tid(thread.tid), thread.step, thread.error, thread.detail);
  }
  return {};
}

Result<void> check_blob(const CreatedTask& task, const LaunchReport& launch,
                        RestorerStep expected) {
  const RestorerPlan plan = TRY(read_plan(task, launch));
  if (plan.error == 0 && plan.step == static_cast<uint32_t>(expected)) return {};
  TRY(check_threads(task, launch));
  return step_failed(Tid(task.pid().value), plan.step, plan.error != 0 ? plan.error : -EPROTO,
                     plan.detail);
}

// Waits for the int3 with which a thread says that it is done. Stops that others cause (SIGSTOP is
// the one signal that can't be blocked) are passed over; anything else is a fault of the blob's.
Result<void> wait_for_int3(const CreatedTask& task, const LaunchReport& launch, Tid tid,
                           const StopRequest& stop) {
  for (;;) {
    TRY(stop.check());
    const ThreadStop state = TRY(wait_for_stop(tid));
    if (state.kind == ThreadStop::Kind::kTrap) return {};
    const bool harmless = state.kind == ThreadStop::Kind::kEvent ||
                          (state.kind == ThreadStop::Kind::kSignal && state.signal == SIGSTOP);
    if (harmless) {
      TRY(resume(tid, PTRACE_CONT));
      continue;
    }
    const Result<RestorerPlan> plan = read_plan(task, launch);
    return fail(ErrorKind::kFailed,
                fmt::format("restorer of thread {} {}; step: {}", tid.value, describe(tid, state),
                            plan.has_value() ? step_name(plan->step) : "not known"));
  }
}

// New threads stand in the stop every traced thread begins with.
Result<void> let_threads_go(const std::vector<Tid>& tids) {
  for (size_t i = 1; i < tids.size(); ++i) {
    const ThreadStop state = TRY(wait_for_stop(tids[i]));
    if (state.kind != ThreadStop::Kind::kEvent) {
      return fail(ErrorKind::kFailed,
                  fmt::format("new thread {} {}", tids[i].value, describe(tids[i], state)));
    }
    TRY(resume(tids[i], PTRACE_CONT));
  }
  return resume(tids[0], PTRACE_CONT);
}

}  // namespace

Result<void> run_blob(CreatedTask& task, const LaunchReport& launch, const std::vector<Tid>& tids,
                      const StopRequest& stop) {
  {
    Span span("restorer.memory");
    TRY(wait_for_int3(task, launch, tids[0], stop));
    TRY(check_blob(task, launch, RestorerStep::kTaskState));
  }
  Span span("restorer.threads");
  TRY(let_threads_go(tids));
  // The others first: none of them waits for another, while the leader waits for them all. So a
  // thread that faults is seen instead of waited for.
  for (size_t i = 1; i < tids.size(); ++i) TRY(wait_for_int3(task, launch, tids[i], stop));
  TRY(wait_for_int3(task, launch, tids[0], stop));
  return check_blob(task, launch, RestorerStep::kDone);
}

}  // namespace cryostat::restore
