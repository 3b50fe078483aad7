// Addresses of UNIX sockets (unix(7)). A name is sun_path without its final zero byte; an abstract
// one begins with a zero byte; empty: unnamed.
#pragma once

#include <sys/socket.h>
#include <sys/un.h>

#include <string>
#include <string_view>

#include "engine/base/error.h"
#include "engine/base/unique_fd.h"

namespace cryostat::net {

struct UnixAddress {
  sockaddr_un address = {};
  socklen_t length = 0;

  // kImages for a name that is too long, or empty.
  static Result<UnixAddress> of(std::string_view name);
  const sockaddr* get() const { return reinterpret_cast<const sockaddr*>(&address); }
};

// The name in an address of `length` bytes.
std::string unix_name_of(const sockaddr_un& address, socklen_t length);

// getsockname(2), getpeername(2); empty also when there is none.
std::string own_unix_name(int socket);
std::string peer_unix_name(int socket);

inline bool is_abstract(std::string_view name) { return !name.empty() && name.front() == '\0'; }

// The file that a socket was bound to, opened with O_PATH (SIOCUNIXFILE, CAP_NET_ADMIN); invalid
// when it has none.
Result<UniqueFd> open_unix_file(int socket);

// A way to connect or send to a bound socket of this process, wherever its file is. Holds a
// descriptor, and is valid as long as it lives.
class UnixRoute {
 public:
  static Result<UnixRoute> to(int socket);
  const sockaddr* get() const { return address_.get(); }
  socklen_t length() const { return address_.length; }

 private:
  UniqueFd file_;
  UnixAddress address_;
};

// Whether a socket is bound to the name now, in this network namespace or at this path. Changes
// nothing.
bool is_unix_name_in_use(std::string_view name);

}  // namespace cryostat::net
