// Where the restorer fits: an address range free both in this process and in the target.
#pragma once

#include <cstdint>
#include <vector>

#include "engine/base/error.h"
#include "engine/restore/hosted_child.h"

namespace cryostat::restore {

// The start of `size_bytes` (page aligned) that touch none of `taken` (any order, overlaps
// allowed), with a guard distance on either side so that stacks may still grow. Pure. kMachine when
// there is no room.
Result<uint64_t> find_area(std::vector<AddressRange> taken, uint64_t size_bytes);

// The mappings of this process.
Result<std::vector<AddressRange>> own_ranges();

}  // namespace cryostat::restore
