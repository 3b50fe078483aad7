// Who gets SIGIO for a description, and which signal instead (fcntl(2), F_SETOWN_EX, F_SETSIG).
#pragma once

#include "engine/base/error.h"

namespace cryostat::pb {
class Description;
}

namespace cryostat::files {

class CollectContext;

// Fills the owner fields from a copy of the description. An owner that is not a process of the
// target, a group of them, or a leading thread is refused: at restore that number may be anybody,
// or nobody yet.
Result<void> collect_owner(const CollectContext& context, int fd, pb::Description& image);

// Sets owner, signal and the uids the owner is checked against. Precondition: as for
// restore_descriptors(); the uids of this thread are changed for the moment of the call.
Result<void> restore_owner(int fd, const pb::Description& image);

}  // namespace cryostat::files
