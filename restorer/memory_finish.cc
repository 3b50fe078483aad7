#include <asm/unistd.h>
#include <errno.h>
#include <linux/fcntl.h>
#include <linux/mman.h>
#include <linux/prctl.h>

#include "engine/kernel/raw_syscall.h"
#include "restorer/memory_steps.h"

// Newer than the headers of Debian 12.
#ifndef MADV_GUARD_INSTALL
#define MADV_GUARD_INSTALL 102
#endif
#ifndef PR_SET_VMA
#define PR_SET_VMA 0x53564d41
#define PR_SET_VMA_ANON_NAME 0
#endif
#ifndef __NR_mseal
#define __NR_mseal 462
#endif

namespace cryostat::restorer {

namespace {

struct Advice {
  uint32_t bit;
  uint32_t value;  // of madvise(2)
};

int advise(const wire::PlannedVma& vma) {
  static constexpr Advice kAdvice[] = {
      {wire::kAdviceDontFork, MADV_DONTFORK},     {wire::kAdviceDontDump, MADV_DONTDUMP},
      {wire::kAdviceWipeOnFork, MADV_WIPEONFORK}, {wire::kAdviceMergeable, MADV_MERGEABLE},
      {wire::kAdviceSequential, MADV_SEQUENTIAL}, {wire::kAdviceRandom, MADV_RANDOM},
  };
  for (const Advice& advice : kAdvice) {
    if ((vma.advice & advice.bit) == 0) continue;
    const long result = raw_syscall(__NR_madvise, vma.start, vma.end - vma.start, advice.value);
    if (is_syscall_error(result)) return static_cast<int>(result);
  }
  return 0;
}

long protect(const wire::PlannedVma& vma) {
  const uint64_t size = vma.end - vma.start;
  if (vma.protection_key != 0) {
    return raw_syscall(__NR_pkey_mprotect, vma.start, size, vma.protection, vma.protection_key);
  }
  if (vma.protection == vma.map_protection) return 0;
  return raw_syscall(__NR_mprotect, vma.start, size, vma.protection);
}

long lock(const wire::PlannedVma& vma) {
  if ((vma.advice & (wire::kAdviceLock | wire::kAdviceLockOnFault)) == 0) return 0;
  const uint64_t flags = (vma.advice & wire::kAdviceLockOnFault) != 0 ? MLOCK_ONFAULT : 0;
  const long result = raw_syscall(__NR_mlock2, vma.start, vma.end - vma.start, flags);
  // The area is locked all the same when its pages can't be faulted in (PROT_NONE: ENOMEM).
  return result == -ENOMEM && vma.protection == 0 ? 0 : result;
}

long set_name(const wire::PlannedVma& vma, const void* arena) {
  if (vma.name.count == 0) return 0;
  return raw_syscall(__NR_prctl, PR_SET_VMA, PR_SET_VMA_ANON_NAME, vma.start, vma.end - vma.start,
                     reinterpret_cast<uint64_t>(vma.name.in(arena)));
}

int finish_area(const wire::PlannedVma& vma, const void* arena) {
  if (const int error = advise(vma)) return error;
  long result = protect(vma);
  if (!is_syscall_error(result)) result = set_name(vma, arena);
  if (!is_syscall_error(result)) result = lock(vma);
  return is_syscall_error(result) ? static_cast<int>(result) : 0;
}

// Keys are given out from 1 upwards: those in use are taken by taking all below and giving the
// others back. The rights that come with an allocation do not matter: PKRU is set with the
// registers.
int allocate_keys(wire::RestorerPlan& plan, const wire::PlannedVma* vmas) {
  uint32_t used = 0;
  for (uint64_t i = 0; i < plan.memory.vmas.count; ++i)
    used |= uint32_t{1} << (vmas[i].protection_key & 31);
  used &= ~uint32_t{1};
  if (used == 0) return 0;
  uint32_t taken = 0;
  while ((used & ~taken) != 0) {
    const long key = raw_syscall(__NR_pkey_alloc, 0, 0);
    if (is_syscall_error(key)) return failed_at(plan, 0, key);
    taken |= uint32_t{1} << (key & 31);
  }
  for (uint32_t key = 1; key < 32; ++key) {
    if (((taken & ~used) >> key & 1) != 0) raw_syscall(__NR_pkey_free, key);
  }
  return 0;
}

int install_guards(wire::RestorerPlan& plan, void* arena) {
  const auto* guards = plan.memory.guards.in(arena);
  for (uint64_t i = 0; i < plan.memory.guards.count; ++i) {
    const uint64_t size = guards[i].end - guards[i].start;
    const long result = raw_syscall(__NR_madvise, guards[i].start, size, MADV_GUARD_INSTALL);
    if (is_syscall_error(result)) return failed_at(plan, guards[i].start, result);
  }
  return 0;
}

}  // namespace

int finish_areas(wire::RestorerPlan& plan, void* arena) {
  // Guards can't be installed in locked memory.
  if (const int error = install_guards(plan, arena)) return error;
  const auto* vmas = plan.memory.vmas.in(arena);
  if (const int error = allocate_keys(plan, vmas)) return error;
  for (uint64_t i = 0; i < plan.memory.vmas.count; ++i) {
    if (const int error = finish_area(vmas[i], arena)) return failed_at(plan, vmas[i].start, error);
  }
  return 0;
}

int set_layout(wire::RestorerPlan& plan, void* arena) {
  const wire::PlannedLayout& layout = plan.memory.layout;
  prctl_mm_map map = {};
  map.start_code = layout.start_code;
  map.end_code = layout.end_code;
  map.start_data = layout.start_data;
  map.end_data = layout.end_data;
  map.start_brk = layout.start_brk;
  map.brk = layout.brk;
  map.start_stack = layout.start_stack;
  map.arg_start = layout.arg_start;
  map.arg_end = layout.arg_end;
  map.env_start = layout.env_start;
  map.env_end = layout.env_end;
  map.auxv = reinterpret_cast<__u64*>(plan.memory.auxv.in(arena));
  map.auxv_size = static_cast<__u32>(plan.memory.auxv.count);
  map.exe_fd = static_cast<__u32>(plan.memory.exe_fd);
  const long result = raw_syscall(__NR_prctl, PR_SET_MM, PR_SET_MM_MAP,
                                  reinterpret_cast<uint64_t>(&map), sizeof(map), 0);
  return is_syscall_error(result) ? failed_at(plan, layout.start_code, result) : 0;
}

int seal(wire::RestorerPlan& plan, void* arena) {
  const auto* vmas = plan.memory.vmas.in(arena);
  for (uint64_t i = 0; i < plan.memory.vmas.count; ++i) {
    if ((vmas[i].advice & wire::kAdviceSeal) == 0) continue;
    const long result = raw_syscall(__NR_mseal, vmas[i].start, vmas[i].end - vmas[i].start, 0);
    if (is_syscall_error(result)) return failed_at(plan, vmas[i].start, result);
  }
  if (plan.memory.lock_future == 0) return 0;
  const long result = raw_syscall(__NR_mlockall, plan.memory.lock_future);
  return is_syscall_error(result) ? failed_at(plan, 0, result) : 0;
}

}  // namespace cryostat::restorer
