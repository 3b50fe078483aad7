// Before a restore: are the files that were mapped still the same?
#pragma once

#include "engine/base/error.h"

namespace cryostat {
class PlanReport;
}
namespace cryostat::image {
struct MmImage;
}

namespace cryostat::memory {

// One requirement per mapped file and exe: there, of the same type and size, same build-id or
// content hash; a mismatch names both values. Also the kernel features the VMAs need.
Result<void> check_mapped_files(const image::MmImage& mm, PlanReport& report);

}  // namespace cryostat::memory
