// NUMA policies of an address space (mbind(2)), of which /proc tells nothing short of a walk over
// all pages (numa_maps): the task itself is asked.
#pragma once

#include "engine/base/error.h"
#include "engine/memory/address_space.h"

namespace cryostat {
class InfectedTask;
}

namespace cryostat::memory {

// Sets the policy of every VMA that has one of its own. One call of the parasite as long as none
// has. A shared object has one policy for all who map it, which shows in each of them.
Result<void> collect_policies(InfectedTask& infected, AddressSpaceState& state);

}  // namespace cryostat::memory
