// System V shared memory segments as memory objects (shmat(2)).
#pragma once

#include "engine/base/error.h"
#include "engine/base/unique_fd.h"

namespace cryostat::memory {

// The memory of a segment of the caller's IPC namespace, open for reading and writing if the caller
// may, else for reading. Attaches it for a moment.
Result<UniqueFd> open_sysv_segment(int id);

}  // namespace cryostat::memory
