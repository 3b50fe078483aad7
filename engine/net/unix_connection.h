// Connections of stream and seqpacket UNIX sockets made with connect(2): each end has the name of
// its own, and knows who made the other one (SO_PEERCRED, unix(7)).
#pragma once

#include <string>
#include <utility>

#include "engine/base/error.h"
#include "engine/base/unique_fd.h"
#include "engine/net/binding_room.h"

namespace cryostat::pb {
class UnixSocketPair;
}

namespace cryostat::net {

// The two ends as far as they are known: one is nullptr when it was closed.
struct ConnectionEnds {
  const pb::UnixSocketPair* accepted = nullptr;
  const pb::UnixSocketPair* client = nullptr;

  // `other`: nullptr when that end is not open.
  static ConnectionEnds of(const pb::UnixSocketPair& end, const pb::UnixSocketPair* other);
  int type() const;
  // Of the listening socket, which the accepted end shares.
  const std::string& name() const;
};

// Whether the end is of such a connection, and not of a socketpair(2).
bool is_connection(const pb::UnixSocketPair& end, const pb::UnixSocketPair* other);

// listen(2) in the name of who is noted in `noted` (nullptr: anybody).
Result<void> listen_as(int socket, const pb::UnixSocketPair* noted, int backlog);

// A listening socket of the name and type for one or more such connections, whose client ends will
// tell what `ends.client` does. Its file is gone at once.
Result<UniqueFd> make_listener_for(const ConnectionEnds& ends, BindingRoom& room);

// A socket that waits in the backlog of `listener`, connected by who is noted in `noted` (nullptr:
// anybody). kMachine when the backlog is full.
Result<UniqueFd> connect_to(int listener, int type, const pb::UnixSocketPair* noted);

// A connection through `listener`, the accepted end first. Nobody else connects to it meanwhile.
Result<std::pair<UniqueFd, UniqueFd>> connect_through(int listener, const ConnectionEnds& ends);

}  // namespace cryostat::net
