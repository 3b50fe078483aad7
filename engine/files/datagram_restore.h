// The datagram UNIX sockets of a task that is being restored: filled, connected and completed
// together, because a connected one takes messages from its peer only (unix(7)).
#pragma once

#include "engine/base/error.h"

namespace cryostat::files {

class RestoreContext;

// All that RestoreContext::number_of tells a number of. They are bound, and pairs are paired.
Result<void> complete_datagram_sockets(RestoreContext& context);

}  // namespace cryostat::files
