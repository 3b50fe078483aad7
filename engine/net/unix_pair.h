// Unnamed UNIX sockets (unix(7)): what one remembers, and making one again.
#pragma once

#include <utility>

#include "engine/base/error.h"
#include "engine/base/unique_fd.h"

namespace cryostat::pb {
class UnixSocketPair;
}

namespace cryostat::net {

// Options, filter, creator, owner and mode of `socket`, which may be the target's own. Changes
// nothing.
Result<void> read_unix_socket(int socket, pb::UnixSocketPair& image);

// The two ends of a pair, noted as made by `image.creator()` as far as possible (docs). The second
// one is invalid for a socket without a peer. Precondition: single-threaded.
Result<std::pair<UniqueFd, UniqueFd>> make_unix_pair(const pb::UnixSocketPair& image);

// Options, filter, owner and mode; to be called when the queues are filled.
Result<void> apply_unix_socket(int socket, const pb::UnixSocketPair& image);

}  // namespace cryostat::net
