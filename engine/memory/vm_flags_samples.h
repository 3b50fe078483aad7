// Mappings of the engine's own that have the flags targets have.
#pragma once

#include <vector>

#include "engine/base/error.h"
#include "engine/memory/vm_flags_key.h"

namespace cryostat::kernel {
class VmaIterator;
}

namespace cryostat::memory {

// Maps a page for each kind of flag, looks at all mappings of this process both ways and unmaps
// them (sealed ones stay). Kinds that this kernel or a limit refuses are left out.
Result<std::vector<VmFlagsSample>> sample_vm_flags(const kernel::VmaIterator& iterator);

}  // namespace cryostat::memory
