// Which kind takes a UNIX socket.
#pragma once

#include <cstdint>

namespace cryostat::files {

enum class UnixSort : uint8_t {
  kNone,        // not a socket of AF_UNIX
  kConnection,  // stream and seqpacket ones with another end, unnamed ones, pairs of all types
  kListener,    // stream and seqpacket ones that are bound and have no other end
  kDatagram,    // datagram sockets that have a name, or whose other end has one
};

UnixSort unix_sort_of(int fd);

// SO_TYPE; -1 when it is no socket.
int socket_type_of(int fd);

// Whether it is of AF_UNIX and messages may wait in it.
bool has_unix_queue(int fd);

}  // namespace cryostat::files
