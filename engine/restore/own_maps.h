// The text of /proc/self/maps.
#pragma once

#include <string>

#include "engine/base/error.h"

namespace cryostat::restore {

// Whole, whatever its size. The file is read anew each time.
Result<std::string> read_own_maps();

}  // namespace cryostat::restore
