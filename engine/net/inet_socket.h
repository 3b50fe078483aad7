// Sockets of the Internet families that have no connection in the kernel: closed, bound and
// listening TCP sockets, UDP, UDP-Lite, ICMP and raw ones, with or without a peer.
#pragma once

#include "engine/base/error.h"
#include "engine/base/unique_fd.h"

namespace cryostat::pb {
class InetSocket;
}

namespace cryostat::net {

// State of a TCP socket, TCP_ESTABLISHED and so on (netinet/tcp.h); 0 for other sockets.
int tcp_state(int socket);

// Sort, addresses, options, filter, owner and mode, multicast groups and, of a listening socket,
// its backlog. `socket` may be the target's own; changes nothing. `state` is left to the caller.
Result<void> read_inet_socket(int socket, pb::InetSocket& image);

// A socket of the same sort with filter and options; not bound. The option SO_REUSEADDR of a TCP
// socket is on: settle_inet_socket() sets it as it was.
Result<UniqueFd> make_inet_socket(const pb::InetSocket& image);

// Names of what it is bound to and connected with, memberships, listening, shutdown, the rest of
// the options. kMachine when an address is not there or is taken.
Result<void> place_inet_socket(int socket, const pb::InetSocket& image);

// Bound to the address of the image; kMachine with a hint where that can't be.
Result<void> bind_inet_socket(int socket, const pb::InetSocket& image);
Result<void> settle_inet_socket(int socket, const pb::InetSocket& image);

}  // namespace cryostat::net
