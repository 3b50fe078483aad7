// Do the NUMA policies of a checkpoint fit the nodes of this machine?
#pragma once

#include "engine/base/plan_report.h"
#include "engine/image/checkpoint_images.h"

namespace cryostat::restore {

// Adds what is missing: a node that a policy names and from which this process may take no memory
// (Mems_allowed of /proc/self/status), or a kernel without policies. Says nothing when no policy is
// set. Changes nothing.
void check_nodes(const image::CheckpointImages& images, PlanReport& report);

}  // namespace cryostat::restore
