// What a process puts into its memory before it forks its children, so that pages which several
// tasks of a tree have come from one read and are shared copy-on-write as they were.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "engine/image/mm_image.h"
#include "engine/memory/page_run_sets.h"

namespace cryostat::memory {

// One process to be created. Those without a live task (zombies, placeholders) have neither space
// nor runs, but may fork.
struct StagingNode {
  const image::AddressSpaceImage* space = nullptr;
  const PageRuns* runs = nullptr;
  std::vector<size_t> children;  // whom it forks
};

// Addresses that are mapped once and inherited, where the VMAs of the tasks will be. A VMA that
// lies inside of one and is of its sort needs no mapping of its own.
struct StagingArea {
  uint64_t start = 0;  // [start, end)
  uint64_t end = 0;
  uint32_t file_id = 0;            // of a private mapping; 0: anonymous
  uint64_t file_offset_bytes = 0;  // of `start`
  bool no_reserve = false;
  bool huge_page = false;  // MADV_HUGEPAGE, MADV_NOHUGEPAGE: can't be taken back
  bool no_huge_page = false;

  bool fits(const pb::Vma& vma) const;
};

struct StagingPlan {
  std::vector<StagingArea> areas;  // ascending, not overlapping
  // By node. What it reads into its areas before it forks.
  std::vector<PageRuns> reads;
  // What is in its areas when it has forked all, inherited pages included (those of areas that were
  // mapped).
  std::vector<std::shared_ptr<const PageRuns>> present;
};

// Can `vma` be inherited at all? `filled`: pages are written into it.
bool can_be_staged(const pb::Vma& vma, bool filled);

// Node 0 is the root; every other one is the child of one. Pages that a process and its children
// have, or several of its children, are staged in it; those of grandchildren as well when the child
// between has them or shares them among its own. Pure.
StagingPlan plan_staging(const std::vector<StagingNode>& nodes);

}  // namespace cryostat::memory
