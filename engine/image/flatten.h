// Makes one checkpoint that needs no other out of a chain: cr-dedup --flatten.
#pragma once

#include <string>

#include "engine/base/deadline.h"
#include "engine/base/error.h"
#include "engine/image/chain.h"

namespace cryostat::image {

// Writes the head of `chain` with every page it needs to `directory` (created; it must not hold a
// checkpoint yet). Every page is compared with its checksum on the way. The result has an id of its
// own. Errors: kUsage when there is a checkpoint in `directory`; kImages; kFailed (disk full).
Result<void> flatten(Chain& chain, const std::string& directory, const StopRequest& stop);

}  // namespace cryostat::image
