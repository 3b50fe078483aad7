// Who the kernel notes as the maker of a connection (SO_PEERCRED, unix(7)): the process that calls
// socketpair(2), listen(2) or connect(2).
#pragma once

#include <functional>

#include "engine/base/error.h"

namespace cryostat::pb {
class UnixSocketPair;
}

namespace cryostat::net {

// Runs `action`, which gives 0 or an errno value, as the process that `image.creator()` names, as
// far as possible: its user and groups always, its pid when that is the caller's or free. What
// `action` changes in memory may be lost; descriptors are common. Without a creator: as it is.
// Precondition: single-threaded.
Result<void> act_as_creator(const pb::UnixSocketPair& image, const char* what,
                            const std::function<int()>& action);

}  // namespace cryostat::net
