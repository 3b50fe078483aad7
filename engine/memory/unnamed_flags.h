// VMA flags that a kernel prints as `??` since it has no letters for them.
#pragma once

#include <vector>

#include "engine/procfs/maps.h"

namespace cryostat::memory {

// Kernels before 6.10 or so have no letters for "locked on fault" (mlock2(2), mlockall(2) with
// MCL_ONFAULT) in /proc/<pid>/smaps. Where that is so, which is tried with a page of our own, a
// locked area with exactly one `??` gets that flag instead of kUnknown. Everything else stays as it
// is, to be refused.
void name_unnamed_flags(std::vector<procfs::SmapsEntry>& entries);

}  // namespace cryostat::memory
