#include "restorer/thread_state.h"

#include <asm/unistd.h>

#include <cstddef>

#include "restorer/credentials.h"
#include "restorer/state_step.h"

namespace cryostat::restorer {

namespace {

using wire::StateCall;
using wire::ThreadState;
using namespace wire::calls;

// What needs privilege in scheduling comes before the credentials are given up.
void apply_scheduling(const ThreadState& state, void* arena, StateStep& step) {
  if (state.calls & wire::kSetAffinity)
    step.run(StateCall::kAffinity, state.tid, __NR_sched_setaffinity, 0, state.affinity.count,
             address_of(state.affinity.in(arena)));
  if (state.calls & wire::kSetScheduling) {
    // sched_setattr(2) takes the nice value of SCHED_OTHER and SCHED_BATCH only.
    int32_t nice = 0;
    __builtin_memcpy(&nice, state.sched_attr + offsetof(KernelSchedAttr, nice), sizeof(nice));
    step.run(StateCall::kScheduling, state.tid, __NR_setpriority, kPrioProcess, 0,
             static_cast<uint64_t>(static_cast<int64_t>(nice)));
    step.run(StateCall::kScheduling, state.tid, __NR_sched_setattr, 0, address_of(state.sched_attr),
             0);
  }
  if (state.calls & wire::kSetIoPriority)
    step.run(StateCall::kIoPriority, state.io_priority, __NR_ioprio_set, kIoprioWhoProcess, 0,
             static_cast<uint64_t>(static_cast<int64_t>(state.io_priority)));
  // After the policy: a real-time policy sets the slack aside.
  if (state.calls & wire::kSetTimerSlack)
    step.run(StateCall::kTimerSlack, state.tid, __NR_prctl, kPrSetTimerslack, state.timer_slack_ns);
}

void apply_attributes(const ThreadState& state, StateStep& step) {
  if (state.calls & wire::kSetComm)
    step.run(StateCall::kComm, state.tid, __NR_prctl, kPrSetName, address_of(state.comm));
  if (state.calls & wire::kSetTsc)
    step.run(StateCall::kTsc, state.tsc_mode, __NR_prctl, kPrSetTsc, state.tsc_mode);
  if (state.calls & wire::kSetIoFlusher)
    step.run(StateCall::kIoFlusher, state.io_flusher, __NR_prctl, kPrSetIoFlusher,
             state.io_flusher);
  if (state.calls & wire::kSetStoreBypass)
    step.run(StateCall::kSpeculation, kSpecStoreBypass, __NR_prctl, kPrSetSpeculationCtrl,
             kSpecStoreBypass, state.store_bypass);
  if (state.calls & wire::kSetIndirectBranch)
    step.run(StateCall::kSpeculation, kSpecIndirectBranch, __NR_prctl, kPrSetSpeculationCtrl,
             kSpecIndirectBranch, state.indirect_branch);
  if (state.calls & wire::kSetL1dFlush)
    step.run(StateCall::kSpeculation, kSpecL1dFlush, __NR_prctl, kPrSetSpeculationCtrl,
             kSpecL1dFlush, state.l1d_flush);
  if (state.calls & wire::kSetCpuid)
    step.run(StateCall::kCpuid, state.cpuid_enabled, __NR_arch_prctl, kArchSetCpuid,
             state.cpuid_enabled);
  if (state.calls & wire::kSetMceKill) {
    const bool reset = state.mce_kill_policy == kPrMceKillDefault;
    step.run(StateCall::kMceKill, state.mce_kill_policy, __NR_prctl, kPrMceKill,
             reset ? kPrMceKillClear : kPrMceKillSet, reset ? 0 : state.mce_kill_policy);
  }
  if (state.calls & wire::kSetMemoryPolicy)
    step.run(StateCall::kMemoryPolicy, state.tid, __NR_set_mempolicy,
             static_cast<uint64_t>(state.memory_policy.mode), address_of(state.memory_policy.nodes),
             wire::kNodesToSet);
  if (state.calls & wire::kSetPersonality)
    step.run(StateCall::kPersonality, state.personality, __NR_personality, state.personality);
}

// Addresses the kernel will look at: all in memory of the target.
void apply_addresses(const ThreadState& state, StateStep& step) {
  if (state.calls & wire::kSetAltStack) {
    KernelStack stack;
    stack.address = state.altstack_address;
    stack.flags = state.altstack_flags;
    stack.size_bytes = state.altstack_size_bytes;
    step.run(StateCall::kAltStack, state.tid, __NR_sigaltstack, address_of(&stack), 0);
  }
  if (state.calls & wire::kSetRobustList)
    step.run(StateCall::kRobustList, state.tid, __NR_set_robust_list, state.robust_list_head,
             state.robust_list_size_bytes);
  // Never fails; 0 for a thread that had none.
  raw_syscall(__NR_set_tid_address, state.clear_child_tid);
  if (state.calls & wire::kSetRseq)
    step.run(StateCall::kRseq, state.tid, __NR_rseq, state.rseq_address, state.rseq_size_bytes,
             state.rseq_flags, state.rseq_signature);
}

void queue_pending(const ThreadState& state, void* arena, StateStep& step) {
  wire::PendingSignalState* signals = state.pending.in(arena);
  for (uint64_t i = 0; i < state.pending.count; ++i) {
    const auto number = static_cast<uint64_t>(signal_number(signals[i]));
    step.run(StateCall::kQueueSignal, number, __NR_rt_tgsigqueueinfo, state.pid, state.tid, number,
             address_of(&signals[i]));
  }
}

void apply_seccomp(const ThreadState& state, void* arena, StateStep& step) {
  install_filters(state.filters, arena, 0, step);
  if (state.calls & wire::kSetStrictSeccomp)
    step.run(StateCall::kSeccomp, state.tid, __NR_prctl, kPrSetSeccomp, kSeccompModeStrict);
}

}  // namespace

int apply_thread_state(const ThreadState& state, void* arena, uint64_t* detail) {
  StateStep step;
  apply_scheduling(state, arena, step);
  apply_attributes(state, step);
  apply_addresses(state, step);
  // The limit of queued signals counts per user: they are queued while still the restorer's user.
  queue_pending(state, arena, step);
  // A filter without no_new_privs needs a privilege; afterwards no call is filtered, since the
  // tracer suspends seccomp.
  if (!(state.calls & wire::kSetNoNewPrivs)) apply_seccomp(state, arena, step);
  apply_credentials(state, arena, step);
  // The kernel forgets this signal when credentials change (prctl(2)).
  if (state.calls & wire::kSetParentDeathSignal)
    step.run(StateCall::kParentDeathSignal, state.parent_death_signal, __NR_prctl, kPrSetPdeathsig,
             static_cast<uint64_t>(state.parent_death_signal));
  if (state.calls & wire::kSetNoNewPrivs) {
    step.run(StateCall::kNoNewPrivs, state.tid, __NR_prctl, kPrSetNoNewPrivs, 1);
    apply_seccomp(state, arena, step);
  }
  return step.finish(detail);
}

}  // namespace cryostat::restorer
