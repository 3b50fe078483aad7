#include "restorer/memory.h"

#include "proto/wire/restorer.h"
#include "restorer/memory_steps.h"

namespace cryostat::restorer {

int restore_memory(wire::RestorerPlan* plan, void* arena) {
  using wire::RestorerStep;
  const auto enter = [plan](RestorerStep step) { plan->step = static_cast<uint32_t>(step); };
  enter(RestorerStep::kUnmap);
  if (const int error = unmap_others(*plan, arena)) return error;
  enter(RestorerStep::kMap);
  if (const int error = map_areas(*plan, arena)) return error;
  if (const int error = drop_pages(*plan, arena)) return error;
  enter(RestorerStep::kFill);
  if (const int error = fill_areas(*plan, arena)) return error;
  enter(RestorerStep::kProtect);
  if (const int error = finish_areas(*plan, arena)) return error;
  enter(RestorerStep::kLayout);
  if (const int error = set_layout(*plan, arena)) return error;
  enter(RestorerStep::kProtect);
  return seal(*plan, arena);
}

}  // namespace cryostat::restorer
