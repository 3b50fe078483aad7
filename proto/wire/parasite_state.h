// What only the task itself can tell about its state (or tells faster than /proc does).
//
// The engine puts these structs into the parasite's data area; the parasite fills them with plain
// system calls and leaves every judgement to the engine.
#pragma once

#include <cstdint>

#include "proto/wire/memory_policy.h"

namespace cryostat::wire {

inline constexpr uint32_t kSignalCount = 64;
// POSIX timers one TaskStateReport carries; with more timers the engine asks again for the rest.
inline constexpr uint32_t kReportTimers = 64;
// Supplementary groups a ThreadStateReport carries; with more the engine reads /proc/<tid>/status.
inline constexpr uint32_t kReportGroups = 32;
// CPUs an affinity mask of a report holds; on larger machines the engine asks from outside.
inline constexpr uint32_t kReportCpuBytes = 128;

// struct sigaction as rt_sigaction(2) takes it (not libc's).
struct SignalActionState {
  uint64_t handler = 0;
  uint64_t flags = 0;
  uint64_t restorer = 0;
  uint64_t mask = 0;  // bit n-1 = signal n
};
static_assert(sizeof(SignalActionState) == 32);

// struct itimerval.
struct IntervalTimerState {
  int64_t interval_s = 0;
  int64_t interval_us = 0;
  int64_t remaining_s = 0;
  int64_t remaining_us = 0;
};
static_assert(sizeof(IntervalTimerState) == 32);

// One POSIX timer: `id` is set by the engine (from /proc/<pid>/timers), the rest by the parasite.
struct PosixTimerReport {
  int32_t id = 0;
  int32_t error = 0;    // -errno of timer_gettime(2), 0 when it worked
  int32_t overrun = 0;  // timer_getoverrun(2)
  uint32_t reserved = 0;
  int64_t interval_s = 0;
  int64_t interval_ns = 0;
  int64_t remaining_s = 0;
  int64_t remaining_ns = 0;
};
static_assert(sizeof(PosixTimerReport) == 48);

// State of the whole task. Values of prctl(2) getters are what the call returned, -errno included;
// a getter this kernel lacks shows as -EINVAL.
struct TaskStateReport {
  SignalActionState actions[kSignalCount];  // [n-1] = signal n
  IntervalTimerState interval_timers[3];    // ITIMER_REAL, VIRTUAL, PROF
  PosixTimerReport posix_timers[kReportTimers];
  uint32_t posix_timer_count = 0;  // set by the engine, <= kReportTimers
  int32_t error = 0;               // first unexpected failure, -errno
  int32_t dumpable = 0;            // PR_GET_DUMPABLE
  int32_t thp_disable = 0;         // PR_GET_THP_DISABLE
  int32_t child_subreaper = 0;     // PR_GET_CHILD_SUBREAPER
  int32_t memory_merge = 0;        // PR_GET_MEMORY_MERGE (6.4)
  int32_t mdwe = 0;                // PR_GET_MDWE (6.3)
  int32_t ldt_bytes = 0;           // modify_ldt(2) read: bytes of a local descriptor table in use
  // MEMBARRIER_CMD_GET_REGISTRATIONS (6.3); 0 where the kernel can't tell.
  uint32_t membarrier_registrations = 0;
  // What waitid(2) says with __WCLONE and no __WALL, which leaves ordinary children out: 0 when
  // there is a tracee or a child made with another exit signal, else -ECHILD.
  int32_t other_waits = 0;
  uint64_t program_break = 0;    // brk(0)
  uint64_t xcomp_permitted = 0;  // ARCH_GET_XCOMP_PERM; 0 when the kernel has no such call
  uint64_t untag_mask = 0;       // ARCH_GET_UNTAG_MASK: all ones unless LAM is on
};

// State of one thread, collected by that thread. general registers only, no stack memory of its
// own.
struct ThreadStateReport {
  uint32_t done = 0;  // 1 once everything below is valid
  int32_t error = 0;  // first unexpected failure, -errno
  // sigaltstack(2).
  uint64_t altstack_address = 0;
  int32_t altstack_flags = 0;
  uint32_t reserved = 0;
  uint64_t altstack_size_bytes = 0;
  uint64_t clear_child_tid = 0;   // PR_GET_TID_ADDRESS
  uint64_t robust_list_head = 0;  // get_robust_list(2)
  uint64_t robust_list_size_bytes = 0;
  uint64_t pending = 0;  // rt_sigpending(2): private and shared, of the blocked signals
  char comm[16] = {};    // PR_GET_NAME
  // Credentials.
  uint32_t uid[4] = {};  // real, effective, saved, file system
  uint32_t gid[4] = {};
  uint32_t group_count = 0;  // may exceed kReportGroups: then `groups` is not filled
  uint32_t groups[kReportGroups] = {};
  uint32_t securebits = 0;  // PR_GET_SECUREBITS
  uint64_t cap_inheritable = 0;
  uint64_t cap_permitted = 0;
  uint64_t cap_effective = 0;
  uint64_t cap_bounding = 0;
  uint64_t cap_ambient = 0;
  int32_t no_new_privs = 0;
  int32_t seccomp_mode = 0;  // PR_GET_SECCOMP
  // Scheduling.
  uint8_t sched_attr[64] = {};  // struct sched_attr as sched_getattr(2) fills it
  uint8_t affinity[kReportCpuBytes] = {};
  int32_t affinity_bytes = 0;   // sched_getaffinity(2): bytes of the mask, or -errno
  int32_t io_priority = 0;      // ioprio_get(2)
  uint64_t timer_slack_ns = 0;  // PR_GET_TIMERSLACK
  // prctl(2) and arch_prctl(2) odds and ends: what the getter returned or stored, -errno included.
  int32_t parent_death_signal = 0;
  int32_t tsc_mode = 0;
  int32_t io_flusher = 0;
  int32_t speculation_store_bypass = 0;
  int32_t speculation_indirect_branch = 0;
  int32_t speculation_l1d_flush = 0;
  int32_t cpuid_enabled = 0;  // ARCH_GET_CPUID: 1 CPUID works, 0 it faults
  int32_t mce_kill_policy = 0;
  uint64_t personality = 0;
  MemoryPolicyState memory_policy;
  uint64_t shadow_stack = 0;  // ARCH_SHSTK_STATUS features, 0 when off or unknown to the kernel
};
static_assert(sizeof(ThreadStateReport) % 8 == 0);

}  // namespace cryostat::wire
