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

// What stays mapped, in ascending order: the area, those of the tasks that have the same memory,
// and VMAs that are inherited.
class KeptRanges {
 public:
  KeptRanges(const wire::RestorerPlan& plan, void* arena)
      : area_{plan.area_start, plan.area_end},
        followers_(plan.followers.in(arena)),
        followers_left_(plan.followers.count),
        vma_(plan.memory.vmas.in(arena)),
        vmas_left_(plan.memory.vmas.count) {}

  // False when there is no further one.
  bool next(wire::AddressRange& range) {
    while (vmas_left_ != 0 && vma_->inherited == 0) skip_vma();
    const uint64_t follower = followers_left_ != 0 ? followers_->start : kNowhere;
    const uint64_t vma = vmas_left_ != 0 ? vma_->start : kNowhere;
    if (area_.start < follower && area_.start < vma) {
      range = area_;
      area_.start = kNowhere;
    } else if (follower < vma) {
      range = *followers_++;
      --followers_left_;
    } else if (vma != kNowhere) {
      range = {vma_->start, vma_->end};
      skip_vma();
    } else {
      return false;
    }
    return true;
  }

 private:
  static constexpr uint64_t kNowhere = ~uint64_t{0};
  void skip_vma() {
    ++vma_;
    --vmas_left_;
  }

  wire::AddressRange area_;
  const wire::AddressRange* followers_;
  uint64_t followers_left_;
  const wire::PlannedVma* vma_;
  uint64_t vmas_left_;
};

// Anywhere, since other memory may lie where the rest of the segment would come, then the wanted
// part is moved to its place (mremap(2)) and the rest detached.
int attach(wire::RestorerPlan& plan, const wire::PlannedVma& vma) {
  const long at = raw_syscall(__NR_shmat, static_cast<uint64_t>(int64_t{vma.fd}), 0, vma.map_flags);
  if (is_syscall_error(at)) return failed_at(plan, vma.start, at);
  const uint64_t size = vma.end - vma.start;
  const auto from = static_cast<uint64_t>(at) + vma.file_offset_bytes;
  const long moved =
      raw_syscall(__NR_mremap, from, size, size, MREMAP_MAYMOVE | MREMAP_FIXED, vma.start);
  if (is_syscall_error(moved)) return failed_at(plan, vma.start, moved);
  // Fails when nothing is left there.
  raw_syscall(__NR_shmdt, static_cast<uint64_t>(at));
  return 0;
}

}  // namespace

int unmap_others(wire::RestorerPlan& plan, void* arena) {
  KeptRanges kept(plan, arena);
  uint64_t at = 0;
  for (wire::AddressRange range; kept.next(range); at = range.end)
    if (const int error = unmap(plan, at, range.start)) return error;
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
    if (vma.attached != 0) {
      if (const int error = attach(plan, vma)) return error;
      continue;
    }
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
