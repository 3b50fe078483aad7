// What all kinds of UNIX sockets have in common when they are saved and made again.
#pragma once

#include <string_view>

#include "engine/base/error.h"
#include "proto/sockets.pb.h"

namespace cryostat::net {
struct UnixSocket;
}

namespace cryostat::files {

class CollectContext;
class RestoreContext;
struct OpenDescription;

// "UNIX stream socket WHY can't be checkpointed".
Failure refuse_unix(uint32_t type, std::string_view why);
// "unix[4711] (/run/x) whose other end unix[4712] (@name, pid 42 `foo`) is outside the target".
// `advice` is added.
Failure refuse_outside(uint32_t type, const net::UnixSocket& socket, const net::UnixSocket& other,
                       std::string_view advice = "");

// Datagram sockets that are connected to each other since socketpair(2).
bool is_made_as_pair(const pb::UnixSocketPair& image);

// POLL* of a socket, also those of the other end's shutdown.
int socket_events(int fd);
// Whether it is connected, if to a closed socket.
bool has_peer(int fd);

// What the list of sockets tells of this one; kRefused when it is not there.
Result<const net::UnixSocket*> find_unix_socket(CollectContext& context,
                                                const OpenDescription& description, uint32_t type);

// What waits in it. kRefused when it could not be looked at.
Result<void> collect_unix_queue(const CollectContext& context, const OpenDescription& description,
                                pb::UnixSocketPair& image);

bool carries_files(const pb::UnixSocketPair& image);

// An open descriptor of a description in flight.
Result<int> file_in_flight(const RestoreContext& context, uint32_t id);

// shutdown(2) with a mask as unix_diag tells it.
Result<void> shut_down(int fd, uint32_t mask);

// While it lives no signal tells the owner of a socket that something arrives (O_ASYNC).
class SilentSocket {
 public:
  static Result<SilentSocket> make(int fd);
  SilentSocket(SilentSocket&& other) noexcept;
  SilentSocket& operator=(SilentSocket&&) = delete;
  ~SilentSocket();

 private:
  SilentSocket() = default;
  int fd_ = -1;  // -1: nothing to put back
  int flags_ = 0;
};

}  // namespace cryostat::files
