// NUMA policies between their record and what the blobs hand to the kernel.
#pragma once

#include "proto/memory_policy.pb.h"
#include "proto/wire/memory_policy.h"

namespace cryostat::image {

// Leaves the record empty for the default policy, and where the kernel has none (mode below 0).
void save_policy(const wire::MemoryPolicyState& policy, pb::MemoryPolicy& record);
wire::MemoryPolicyState plan_policy(const pb::MemoryPolicy& record);

}  // namespace cryostat::image
