// Moves the vvar and vDSO mappings, first out of the way and then to where they belong.
#pragma once

#include "proto/wire/restorer.h"

namespace cryostat::restorer {

// Moves every piece into the area, so that the rest of the old address space can be unmapped at
// once. 0 or -errno with the piece's address in plan.detail.
int park_vdso(wire::RestorerPlan& plan);

// Moves every piece to its final place and maps the re-targeted image if there is one. 0 or -errno
// likewise. Precondition: the final places are free.
int place_vdso(wire::RestorerPlan& plan);

}  // namespace cryostat::restorer
