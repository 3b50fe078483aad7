// Does this machine fit a checkpoint? Asked before anything is created.
#pragma once

#include "engine/base/error.h"
#include "engine/base/plan_report.h"

namespace cryostat::pb {
class Manifest;
}
namespace cryostat::image {
struct TasksImage;
}
namespace cryostat::task {
struct TreePlan;
}

namespace cryostat::restore {

// Adds to `report`: architecture, processor features and state components, page size, kernel
// features needed, own privileges, and that every pid and tid of the checkpoint, and of the
// placeholders of its tree, is free (and by whom it is taken when not). Changes nothing.
void check_machine(const pb::Manifest& manifest, const image::TasksImage& tasks,
                   const task::TreePlan& tree, PlanReport& report);

}  // namespace cryostat::restore
