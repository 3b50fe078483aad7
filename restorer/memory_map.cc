#include <asm/unistd.h>
#include <errno.h>
#include <linux/mman.h>

#include "engine/kernel/raw_syscall.h"
#include "restorer/memory_steps.h"

#ifndef MAP_FIXED_NOREPLACE
#define MAP_FIXED_NOREPLACE 0x100000
#endif

namespace cryostat::restorer {

namespace {

int unmap(wire::RestorerPlan& plan, uint64_t start, uint64_t end) {
  if (start >= end) return 0;
  const long result = raw_syscall(__NR_munmap, start, end - start);
  return is_syscall_error(result) ? failed_at(plan, start, result) : 0;
}

long advise(const wire::PlannedVma& vma, uint64_t advice) {
  return raw_syscall(__NR_madvise, vma.start, vma.end - vma.start, advice);
}

// Before the fill, so that pages come from the nodes they are to come from.
int set_policies(wire::RestorerPlan& plan, void* arena) {
  const auto* policies = plan.memory.policies.in(arena);
  for (uint64_t i = 0; i < plan.memory.policies.count; ++i) {
    const wire::PlannedPolicy& at = policies[i];
    const long result =
        raw_syscall(__NR_mbind, at.start, at.end - at.start, static_cast<uint64_t>(at.policy.mode),
                    reinterpret_cast<uint64_t>(at.policy.nodes), wire::kNodesToSet, 0);
    if (is_syscall_error(result)) return failed_at(plan, at.start, result);
  }
  return 0;
}

}  // namespace

int unmap_others(wire::RestorerPlan& plan, void* arena) {
  const auto* vmas = plan.memory.vmas.in(arena);
  uint64_t at = 0;
  bool area_passed = false;
  for (uint64_t i = 0; i < plan.memory.vmas.count; ++i) {
    if (vmas[i].inherited == 0) continue;
    if (!area_passed && plan.area_start < vmas[i].start) {
      if (const int error = unmap(plan, at, plan.area_start)) return error;
      at = plan.area_end;
      area_passed = true;
    }
    if (const int error = unmap(plan, at, vmas[i].start)) return error;
    at = vmas[i].end;
  }
  if (!area_passed) {
    if (const int error = unmap(plan, at, plan.area_start)) return error;
    at = plan.area_end;
  }
  return unmap(plan, at, plan.memory.task_size);
}

int drop_pages(wire::RestorerPlan& plan, void* arena) {
  const auto* drops = plan.memory.drops.in(arena);
  for (uint64_t i = 0; i < plan.memory.drops.count; ++i) {
    const long result =
        raw_syscall(__NR_madvise, drops[i].start, drops[i].end - drops[i].start, MADV_DONTNEED);
    if (is_syscall_error(result)) return failed_at(plan, drops[i].start, result);
  }
  return 0;
}

int map_areas(wire::RestorerPlan& plan, void* arena) {
  const auto* vmas = plan.memory.vmas.in(arena);
  for (uint64_t i = 0; i < plan.memory.vmas.count; ++i) {
    const wire::PlannedVma& vma = vmas[i];
    if (vma.inherited != 0) continue;
    const auto fd = static_cast<uint64_t>(int64_t{vma.fd});
    const long at = raw_syscall(__NR_mmap, vma.start, vma.end - vma.start, vma.map_protection,
                                vma.map_flags | MAP_FIXED_NOREPLACE, fd, vma.file_offset_bytes);
    if (is_syscall_error(at)) return failed_at(plan, vma.start, at);
    if (static_cast<uint64_t>(at) != vma.start) return failed_at(plan, vma.start, -EEXIST);
    // Before the fill, so that it takes huge pages, or none.
    long result = 0;
    if ((vma.advice & wire::kAdviceHugePage) != 0) result = advise(vma, MADV_HUGEPAGE);
    if ((vma.advice & wire::kAdviceNoHugePage) != 0) result = advise(vma, MADV_NOHUGEPAGE);
    if (is_syscall_error(result)) return failed_at(plan, vma.start, result);
  }
  return set_policies(plan, arena);
}

}  // namespace cryostat::restorer
