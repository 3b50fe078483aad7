// Which process of the tree reads shared pages before it forks the others.
#pragma once

#include "engine/image/checkpoint_images.h"
#include "engine/memory/staging_plan.h"
#include "engine/task/tree_plan.h"

namespace cryostat::restore {

// The nodes are the births of `plan`, in its order. Refers to `images`.
memory::StagingPlan plan_staging(const task::TreePlan& plan, const image::CheckpointImages& images);

}  // namespace cryostat::restore
