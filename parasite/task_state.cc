#include "parasite/task_state.h"

#include <asm/unistd.h>

#include "engine/kernel/raw_syscall.h"
#include "proto/wire/state_calls.h"

namespace cryostat::parasite {

namespace {

using namespace wire::calls;

constexpr int kEinval = 22;

uint64_t address_of(const void* object) { return reinterpret_cast<uint64_t>(object); }

void note(wire::TaskStateReport* report, long result) {
  if (is_syscall_error(result) && report->error == 0) report->error = static_cast<int32_t>(result);
}

void collect_timers(wire::TaskStateReport* report) {
  for (uint64_t which = 0; which < 3; ++which)
    note(report, raw_syscall(__NR_getitimer, which, address_of(&report->interval_timers[which])));
  for (uint32_t i = 0; i < report->posix_timer_count; ++i) {
    wire::PosixTimerReport& timer = report->posix_timers[i];
    const auto id = static_cast<uint64_t>(static_cast<int64_t>(timer.id));
    timer.error =
        static_cast<int32_t>(raw_syscall(__NR_timer_gettime, id, address_of(&timer.interval_s)));
    timer.overrun = static_cast<int32_t>(raw_syscall(__NR_timer_getoverrun, id));
  }
}

void collect_actions(wire::TaskStateReport* report) {
  for (uint32_t signal = 1; signal <= wire::kSignalCount; ++signal)
    note(report, raw_syscall(__NR_rt_sigaction, signal, 0, address_of(&report->actions[signal - 1]),
                             sizeof(uint64_t)));
}

void collect_attributes(wire::TaskStateReport* report) {
  report->dumpable = static_cast<int32_t>(raw_syscall(__NR_prctl, kPrGetDumpable));
  report->thp_disable = static_cast<int32_t>(raw_syscall(__NR_prctl, kPrGetThpDisable));
  report->memory_merge = static_cast<int32_t>(raw_syscall(__NR_prctl, kPrGetMemoryMerge));
  report->mdwe = static_cast<int32_t>(raw_syscall(__NR_prctl, kPrGetMdwe));
  const long barriers = raw_syscall(__NR_membarrier, kMembarrierGetRegistrations);
  report->membarrier_registrations = barriers > 0 ? static_cast<uint32_t>(barriers) : 0;
  int32_t subreaper = 0;
  note(report, raw_syscall(__NR_prctl, kPrGetChildSubreaper, address_of(&subreaper)));
  report->child_subreaper = subreaper;
  constexpr uint64_t kOthers = kWaitNoHang | kWaitStopped | kWaitExited | kWaitContinued |
                               kWaitLeaveStatus | kWaitCloneChildren;
  report->other_waits = static_cast<int32_t>(raw_syscall(__NR_waitid, kWaitAll, 0, 0, kOthers, 0));
  uint64_t entry = 0;
  report->ldt_bytes =
      static_cast<int32_t>(raw_syscall(__NR_modify_ldt, 0, address_of(&entry), sizeof(entry)));
  report->program_break = static_cast<uint64_t>(raw_syscall(__NR_brk, 0));
  if (raw_syscall(__NR_arch_prctl, kArchGetXcompPerm, address_of(&report->xcomp_permitted)) != 0)
    report->xcomp_permitted = 0;
  if (raw_syscall(__NR_arch_prctl, kArchGetUntagMask, address_of(&report->untag_mask)) != 0)
    report->untag_mask = ~0ull;
}

}  // namespace

int collect_task_state(wire::TaskStateReport* report) {
  if (report->posix_timer_count > wire::kReportTimers) return -kEinval;
  report->error = 0;
  collect_timers(report);
  collect_actions(report);
  collect_attributes(report);
  return 0;
}

}  // namespace cryostat::parasite
