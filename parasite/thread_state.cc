#include "parasite/thread_state.h"

#include <asm/unistd.h>

#include <cstddef>

#include "engine/kernel/raw_syscall.h"
#include "proto/wire/state_calls.h"

namespace cryostat::parasite {

namespace {

using namespace wire::calls;

uint64_t address_of(const void* object) { return reinterpret_cast<uint64_t>(object); }

// A prctl whose result is its return value.
int32_t get(uint64_t option, uint64_t a = 0) {
  return static_cast<int32_t>(raw_syscall(__NR_prctl, option, a));
}

// A prctl that stores an int. -errno when it fails.
int32_t get_stored(uint64_t option, int32_t* place) {
  const long result = raw_syscall(__NR_prctl, option, address_of(place));
  return is_syscall_error(result) ? static_cast<int32_t>(result) : *place;
}

void note(wire::ThreadStateReport* report, long result) {
  if (is_syscall_error(result) && report->error == 0) report->error = static_cast<int32_t>(result);
}

void collect_ids(wire::ThreadStateReport* report) {
  note(report, raw_syscall(__NR_getresuid, address_of(&report->uid[0]), address_of(&report->uid[1]),
                           address_of(&report->uid[2])));
  note(report, raw_syscall(__NR_getresgid, address_of(&report->gid[0]), address_of(&report->gid[1]),
                           address_of(&report->gid[2])));
  // setfsuid(2) with an invalid id changes nothing and returns the present one.
  report->uid[3] = static_cast<uint32_t>(raw_syscall(__NR_setfsuid, ~0ull));
  report->gid[3] = static_cast<uint32_t>(raw_syscall(__NR_setfsgid, ~0ull));
  const long groups = raw_syscall(__NR_getgroups, 0, 0);
  note(report, groups);
  if (groups < 0) return;
  report->group_count = static_cast<uint32_t>(groups);
  if (report->group_count <= wire::kReportGroups)
    note(report, raw_syscall(__NR_getgroups, wire::kReportGroups, address_of(report->groups)));
}

void collect_capabilities(wire::ThreadStateReport* report) {
  CapHeader header;
  CapData data[2];
  note(report, raw_syscall(__NR_capget, address_of(&header), address_of(data)));
  report->cap_effective = data[0].effective | static_cast<uint64_t>(data[1].effective) << 32;
  report->cap_permitted = data[0].permitted | static_cast<uint64_t>(data[1].permitted) << 32;
  report->cap_inheritable = data[0].inheritable | static_cast<uint64_t>(data[1].inheritable) << 32;
  // A capability is ambient only if it is permitted and inheritable (capabilities(7)).
  const uint64_t maybe_ambient = report->cap_permitted & report->cap_inheritable;
  report->cap_bounding = 0;
  report->cap_ambient = 0;
  for (uint64_t bit = 0; bit < 64; ++bit) {
    const int32_t bounded = get(kPrCapbsetRead, bit);
    if (bounded < 0) break;  // past the last capability of this kernel
    if (bounded == 1) report->cap_bounding |= 1ull << bit;
    if ((maybe_ambient >> bit & 1) != 0 &&
        raw_syscall(__NR_prctl, kPrCapAmbient, kPrCapAmbientIsSet, bit) == 1)
      report->cap_ambient |= 1ull << bit;
  }
  report->securebits = static_cast<uint32_t>(get(kPrGetSecurebits));
  report->no_new_privs = get(kPrGetNoNewPrivs);
  report->seccomp_mode = get(kPrGetSeccomp);
}

void collect_scheduling(wire::ThreadStateReport* report) {
  note(report, raw_syscall(__NR_sched_getattr, 0, address_of(report->sched_attr),
                           sizeof(report->sched_attr), 0));
  // sched_getattr(2) tells the nice value of SCHED_OTHER and SCHED_BATCH only; under other policies
  // it is kept for the day the thread leaves them. The raw getpriority(2) gives 20 - nice.
  const int64_t priority = raw_syscall(__NR_getpriority, kPrioProcess, 0);
  const auto nice = static_cast<int32_t>(20 - priority);
  if (priority > 0)
    __builtin_memcpy(report->sched_attr + offsetof(KernelSchedAttr, nice), &nice, sizeof(nice));
  // EINVAL when the machine has more CPUs than the mask holds.
  report->affinity_bytes = static_cast<int32_t>(raw_syscall(
      __NR_sched_getaffinity, 0, sizeof(report->affinity), address_of(report->affinity)));
  report->io_priority = static_cast<int32_t>(raw_syscall(__NR_ioprio_get, kIoprioWhoProcess, 0));
  report->timer_slack_ns = static_cast<uint64_t>(raw_syscall(__NR_prctl, kPrGetTimerslack));
}

void collect_signal_state(wire::ThreadStateReport* report) {
  KernelStack stack;
  note(report, raw_syscall(__NR_sigaltstack, 0, address_of(&stack)));
  report->altstack_address = stack.address;
  report->altstack_flags = stack.flags;
  report->altstack_size_bytes = stack.size_bytes;
  note(report, raw_syscall(__NR_rt_sigpending, address_of(&report->pending), sizeof(uint64_t)));
}

void collect_attributes(wire::ThreadStateReport* report) {
  note(report, raw_syscall(__NR_prctl, kPrGetTidAddress, address_of(&report->clear_child_tid)));
  note(report, raw_syscall(__NR_get_robust_list, 0, address_of(&report->robust_list_head),
                           address_of(&report->robust_list_size_bytes)));
  note(report, raw_syscall(__NR_prctl, kPrGetName, address_of(report->comm)));
  report->parent_death_signal = get_stored(kPrGetPdeathsig, &report->parent_death_signal);
  report->tsc_mode = get_stored(kPrGetTsc, &report->tsc_mode);
  report->io_flusher = static_cast<int32_t>(raw_syscall(__NR_prctl, kPrGetIoFlusher));
  report->speculation_store_bypass = get(kPrGetSpeculationCtrl, kSpecStoreBypass);
  report->speculation_indirect_branch = get(kPrGetSpeculationCtrl, kSpecIndirectBranch);
  report->speculation_l1d_flush = get(kPrGetSpeculationCtrl, kSpecL1dFlush);
  report->cpuid_enabled = static_cast<int32_t>(raw_syscall(__NR_arch_prctl, kArchGetCpuid));
  report->mce_kill_policy = static_cast<int32_t>(raw_syscall(__NR_prctl, kPrMceKillGet));
  // ENOSYS without CONFIG_NUMA; EPERM by the filter of a container, which then forbids to set it.
  const long policy = raw_syscall(__NR_get_mempolicy, address_of(&report->memory_policy.mode),
                                  address_of(report->memory_policy.nodes), wire::kNodesToGet, 0, 0);
  if (is_syscall_error(policy)) report->memory_policy.mode = static_cast<int32_t>(policy);
  report->personality = static_cast<uint64_t>(raw_syscall(__NR_personality, 0xffffffff));
  if (raw_syscall(__NR_arch_prctl, kArchShstkStatus, address_of(&report->shadow_stack)) != 0)
    report->shadow_stack = 0;
}

}  // namespace

void collect_thread_state(wire::ThreadStateReport* report) {
  report->error = 0;
  collect_signal_state(report);
  collect_ids(report);
  collect_capabilities(report);
  collect_scheduling(report);
  collect_attributes(report);
  __atomic_store_n(&report->done, 1u, __ATOMIC_RELEASE);
}

}  // namespace cryostat::parasite
