// The task and thread state part of the restorer's plan: what only the task itself can set.
//
// The hosted code that fills these compares each value with what the child has already (its own
// state, inherited from cr-restore) and plans only the calls that change something: an unprivileged
// restore of unprivileged state needs no privilege, and a thousand threads need few calls.
#pragma once

#include <cstdint>

#include "proto/wire/parasite_state.h"
#include "proto/wire/span.h"

namespace cryostat::wire {

// siginfo_t as the kernel lays it out; si_signo is its first word.
struct PendingSignalState {
  uint8_t siginfo[128];
};
static_assert(sizeof(PendingSignalState) == 128);

struct ResourceLimitState {
  uint32_t resource = 0;
  uint32_t reserved = 0;
  uint64_t soft = 0;
  uint64_t hard = 0;
};

struct PosixTimerState {
  int32_t id = 0;
  int32_t clock_id = 0;
  int32_t notify = 0;
  int32_t signal = 0;
  uint64_t value = 0;
  int32_t notify_tid = 0;
  uint32_t reserved = 0;
  uint64_t interval_ns = 0;
  uint64_t remaining_ns = 0;  // 0: disarmed
};

// A seccomp program: struct sock_filter array in the arena.
struct SeccompFilterState {
  WireSpan<uint64_t> instructions;
  uint64_t flags = 0;  // SECCOMP_FILTER_FLAG_*
};

// Which calls a thread has to make; the others find the wanted state in place.
enum ThreadStateCalls : uint64_t {
  kSetComm = 1u << 0,
  kSetAltStack = 1u << 1,
  kSetRobustList = 1u << 2,
  kSetRseq = 1u << 3,
  kSetAffinity = 1u << 4,
  kSetScheduling = 1u << 5,
  kSetIoPriority = 1u << 6,
  kSetTimerSlack = 1u << 7,
  kSetGroups = 1u << 8,
  kSetIds = 1u << 9,            // any of the four uids or gids
  kSetCapabilities = 1u << 10,  // any of the five sets
  kSetSecurebits = 1u << 11,
  kSetNoNewPrivs = 1u << 12,
  kSetParentDeathSignal = 1u << 13,
  kSetTsc = 1u << 14,
  kSetIoFlusher = 1u << 15,
  kSetStoreBypass = 1u << 16,
  kSetIndirectBranch = 1u << 17,
  kSetL1dFlush = 1u << 18,
  kSetCpuid = 1u << 19,
  kSetMceKill = 1u << 20,
  kSetPersonality = 1u << 21,
  kSetStrictSeccomp = 1u << 22,
  kSetMemoryPolicy = 1u << 23,
};

struct ThreadState {
  uint64_t calls = 0;  // ThreadStateCalls
  int32_t pid = 0;     // thread group
  int32_t tid = 0;
  char comm[16] = {};
  uint64_t altstack_address = 0;
  uint64_t altstack_size_bytes = 0;
  int32_t altstack_flags = 0;
  uint32_t rseq_size_bytes = 0;
  uint64_t rseq_address = 0;
  uint32_t rseq_signature = 0;
  uint32_t rseq_flags = 0;
  uint64_t robust_list_head = 0;
  uint64_t robust_list_size_bytes = 0;
  uint64_t clear_child_tid = 0;
  // Credentials.
  uint32_t uid[4] = {};  // real, effective, saved, file system
  uint32_t gid[4] = {};
  WireSpan<uint32_t> groups;
  uint64_t cap_inheritable = 0;
  uint64_t cap_permitted = 0;
  uint64_t cap_effective = 0;
  uint64_t cap_ambient = 0;
  uint64_t cap_bounding_drop = 0;  // bits to drop from what the child has
  uint64_t cap_ambient_drop = 0;
  // The child's own permitted set and securebits at the start, needed on the way.
  uint64_t start_cap_permitted = 0;
  uint64_t start_cap_effective = 0;
  uint64_t start_cap_inheritable = 0;
  uint32_t start_securebits = 0;
  uint32_t securebits = 0;
  // Scheduling.
  uint8_t sched_attr[64] = {};  // struct sched_attr
  WireSpan<uint8_t> affinity;   // CPU mask
  uint64_t timer_slack_ns = 0;
  int32_t io_priority = 0;
  int32_t parent_death_signal = 0;
  uint32_t tsc_mode = 0;
  uint32_t io_flusher = 0;
  uint32_t store_bypass = 0;  // PR_SPEC_* to set
  uint32_t indirect_branch = 0;
  uint32_t l1d_flush = 0;
  uint32_t cpuid_enabled = 0;
  uint32_t mce_kill_policy = 0;
  uint32_t reserved = 0;
  uint64_t personality = 0;
  MemoryPolicyState memory_policy;
  WireSpan<PendingSignalState> pending;  // private queue, oldest first
  WireSpan<SeccompFilterState> filters;  // oldest first; after those of TaskState
};

struct TaskState {
  int32_t pid = 0;
  uint32_t interval_timer_mask = 0;         // bit n: interval_timers[n] is armed
  SignalActionState actions[kSignalCount];  // [n-1] = signal n; all are set
  IntervalTimerState interval_timers[3];
  WireSpan<PosixTimerState> posix_timers;  // ascending id
  WireSpan<PendingSignalState> pending;    // shared queue, oldest first
  WireSpan<ResourceLimitState> limits;
  WireSpan<SeccompFilterState> filters;  // those all threads have in common, oldest first
  uint64_t xcomp_request = 0;            // ARCH_REQ_XCOMP_PERM to ask for, by component bit
  int32_t dumpable = 1;
  int32_t thp_disable = 0;  // PR_SET_THP_DISABLE: 0 off, else 1 | flags
  int32_t child_subreaper = 0;
  int32_t memory_merge = 0;
  int32_t mdwe = 0;
  uint32_t membarrier_registrations = 0;  // commands of membarrier(2) to give
  int32_t thread_count = 1;
};

// What `detail` of a failed step names: the call in the upper half, its subject (signal, timer id,
// resource, capability …) in the lower. engine/task/state_detail.h turns it into words.
enum class StateCall : uint32_t {
  kNone = 0,
  kSigaction,
  kQueueSignal,
  kItimer,
  kTimerCreate,
  kTimerSettime,
  kLimit,
  kDumpable,
  kThpDisable,
  kSubreaper,
  kMemoryMerge,
  kMdwe,
  kXcomp,
  kSeccomp,
  kComm,
  kAltStack,
  kRobustList,
  kRseq,
  kAffinity,
  kScheduling,
  kIoPriority,
  kTimerSlack,
  kGroups,
  kGids,
  kUids,
  kSecurebits,
  kCapset,
  kBounding,
  kAmbient,
  kNoNewPrivs,
  kParentDeathSignal,
  kTsc,
  kIoFlusher,
  kSpeculation,
  kCpuid,
  kMceKill,
  kPersonality,
  kTidAddress,
  kMembarrier,
  kMemoryPolicy,
  kCount,
};
constexpr uint64_t state_detail(StateCall call, uint64_t subject = 0) {
  return static_cast<uint64_t>(call) << 32 | (subject & 0xffffffffu);
}

}  // namespace cryostat::wire
