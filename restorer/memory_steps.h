// The steps of restore_memory(), in their order. Each returns 0, or -errno with plan.detail set to
// the address (or descriptor) it was about.
#pragma once

#include "proto/wire/restorer.h"

namespace cryostat::restorer {

// Unmaps everything but the restorer area and VMAs that are inherited (memory_map.cc).
int unmap_others(wire::RestorerPlan& plan, void* arena);
// Maps every other VMA, writable where pages are to be filled in (memory_map.cc).
int map_areas(wire::RestorerPlan& plan, void* arena);
// Takes away inherited pages that the task does not have (memory_map.cc).
int drop_pages(wire::RestorerPlan& plan, void* arena);
// Reads page data into place, with helper threads if the plan says so (memory_fill.cc).
int fill_areas(wire::RestorerPlan& plan, void* arena);
// Guard pages, advice, final protection, names, locks (memory_finish.cc).
int finish_areas(wire::RestorerPlan& plan, void* arena);
// PR_SET_MM_MAP (memory_finish.cc).
int set_layout(wire::RestorerPlan& plan, void* arena);
// Seals of VMAs, MCL_FUTURE: what must come after everything else (memory_finish.cc).
int seal(wire::RestorerPlan& plan, void* arena);

// Stores what a failure was about and passes the error on.
inline int failed_at(wire::RestorerPlan& plan, uint64_t detail, long error) {
  plan.detail = detail;
  return static_cast<int>(error);
}

}  // namespace cryostat::restorer
