// Whether every datagram was seen that sockets of the target have sent: an empty one that was
// peeked at once can't be peeked at again (unix_queue.h).
#pragma once

#include <set>
#include <string>

#include "engine/base/error.h"

namespace cryostat::files {

class CollectContext;

// The names of sockets (empty: those without one) of which more is in flight than waits in the
// queues of the target. Those that are connected to a socket outside are left out.
Result<std::set<std::string>> senders_of_unseen(const CollectContext& context);

}  // namespace cryostat::files
