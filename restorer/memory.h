// Rebuilds the address space inside the task being restored.
#pragma once

namespace cryostat::wire {
struct RestorerPlan;
}

namespace cryostat::restorer {

// Unmaps everything outside [plan->area_start, plan->area_end) (so vvar and vDSO must have been
// moved into the area) but inherited VMAs, maps every other VMA of plan->memory, fills, protects
// and advises it, sets the mm layout, seals of VMAs and MCL_FUTURE. `arena` is the start of the
// arena that holds the plan. Returns 0, or -errno with plan->step and plan->detail (an address)
// saying where.
int restore_memory(wire::RestorerPlan* plan, void* arena);

}  // namespace cryostat::restorer
