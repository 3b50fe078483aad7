#include "restorer/task_state.h"

#include "restorer/posix_timers.h"
#include "restorer/state_step.h"

namespace cryostat::restorer {

namespace {

using wire::StateCall;
using wire::TaskState;
using namespace wire::calls;

constexpr uint64_t kSigkill = 9;
constexpr uint64_t kSigstop = 19;
constexpr uint64_t kSigtrap = 5;
constexpr uint64_t kIgnore = 1;  // SIG_IGN
constexpr uint64_t kSeccompFlagTsync = 1;

void set_actions(const TaskState& state, StateStep& step) {
  for (uint64_t signal = 1; signal <= wire::kSignalCount; ++signal) {
    if (signal == kSigkill || signal == kSigstop) continue;
    // The threads still stop with int3, and a trap that is ignored makes the kernel reset its
    // action: engine/restore/finish sets this one.
    if (signal == kSigtrap && state.actions[signal - 1].handler == kIgnore) continue;
    step.run(StateCall::kSigaction, signal, __NR_rt_sigaction, signal,
             address_of(&state.actions[signal - 1]), 0, sizeof(uint64_t));
  }
}

void queue_pending(const TaskState& state, void* arena, StateStep& step) {
  wire::PendingSignalState* signals = state.pending.in(arena);
  for (uint64_t i = 0; i < state.pending.count; ++i) {
    const auto number = static_cast<uint64_t>(signal_number(signals[i]));
    step.run(StateCall::kQueueSignal, number, __NR_rt_sigqueueinfo, state.pid, number,
             address_of(&signals[i]));
  }
}

void arm_interval_timers(const TaskState& state, StateStep& step) {
  for (uint64_t which = 0; which < 3; ++which)
    if (state.interval_timer_mask >> which & 1)
      step.run(StateCall::kItimer, which, __NR_setitimer, which,
               address_of(&state.interval_timers[which]), 0);
}

// Hard limits above those of the engine's child take a privilege that the credentials may not have.
// The rest of a limit comes last: it could be in the restorer's way.
void raise_hard_limits(const TaskState& state, void* arena, StateStep& step) {
  const wire::ResourceLimitState* limits = state.limits.in(arena);
  for (uint64_t i = 0; i < state.limits.count; ++i) {
    uint64_t limit[2] = {};  // soft, hard
    step.run(StateCall::kLimit, limits[i].resource, __NR_prlimit64, 0, limits[i].resource, 0,
             address_of(limit));
    if (limit[1] >= limits[i].hard) continue;
    limit[1] = limits[i].hard;
    step.run(StateCall::kLimit, limits[i].resource, __NR_prlimit64, 0, limits[i].resource,
             address_of(limit), 0);
  }
}

void set_limits(const TaskState& state, void* arena, StateStep& step) {
  const wire::ResourceLimitState* limits = state.limits.in(arena);
  for (uint64_t i = 0; i < state.limits.count; ++i)
    step.run(StateCall::kLimit, limits[i].resource, __NR_prlimit64, 0, limits[i].resource,
             address_of(&limits[i].soft), 0);
}

// Setters of newer kernels are called only where the present value differs, so that their absence
// does not matter to a task that never used them.
void set_attributes(const TaskState& state, StateStep& step) {
  const auto get = [](uint64_t option) {
    return static_cast<int32_t>(raw_syscall(__NR_prctl, option));
  };
  // The root task's parent is not a subreaper's business: the flag is always set anew.
  step.run(StateCall::kSubreaper, 0, __NR_prctl, kPrSetChildSubreaper,
           static_cast<uint64_t>(state.child_subreaper));
  if (state.memory_merge > 0 && get(kPrGetMemoryMerge) != state.memory_merge)
    step.run(StateCall::kMemoryMerge, 0, __NR_prctl, kPrSetMemoryMerge, 1);
  if (get(kPrGetThpDisable) != state.thp_disable)
    step.run(StateCall::kThpDisable, static_cast<uint64_t>(state.thp_disable), __NR_prctl,
             kPrSetThpDisable, state.thp_disable & 1,
             static_cast<uint64_t>(state.thp_disable) & ~1ull);
  if (state.mdwe > 0 && get(kPrGetMdwe) != state.mdwe)
    step.run(StateCall::kMdwe, 0, __NR_prctl, kPrSetMdwe, static_cast<uint64_t>(state.mdwe));
  // 2 ("root only") can't be asked for: it is what a change of credentials leaves behind where the
  // machine is set up so. 0 is the nearest that gives nothing away.
  if (get(kPrGetDumpable) != state.dumpable)
    step.run(StateCall::kDumpable, static_cast<uint64_t>(state.dumpable), __NR_prctl,
             kPrSetDumpable, state.dumpable == 1 ? 1 : 0);
}

}  // namespace

int register_barriers(const TaskState& state, uint64_t* detail) {
  StateStep step;
  for (uint64_t bit = 0; bit < 32; ++bit)
    if (state.membarrier_registrations >> bit & 1)
      step.run(StateCall::kMembarrier, bit, __NR_membarrier, 1ull << bit);
  return step.finish(detail);
}

int apply_task_state(const TaskState& state, void* arena, uint64_t* detail) {
  StateStep step;
  set_actions(state, step);
  raise_hard_limits(state, arena, step);
  for (uint64_t component = 0; component < 64; ++component)
    if (state.xcomp_request >> component & 1)
      step.run(StateCall::kXcomp, component, __NR_arch_prctl, kArchReqXcompPerm, component);
  install_filters(state.filters, arena, kSeccompFlagTsync, step);
  return step.finish(detail);
}

int finish_task_state(const TaskState& state, void* arena, uint64_t* detail) {
  StateStep step;
  // Only now: a change of a handler to "ignore" discards what is pending.
  queue_pending(state, arena, step);
  create_posix_timers(state.posix_timers, arena, step);
  set_attributes(state, step);
  set_limits(state, arena, step);
  // Time runs from here.
  arm_posix_timers(state.posix_timers, arena, step);
  arm_interval_timers(state, step);
  return step.finish(detail);
}

}  // namespace cryostat::restorer
