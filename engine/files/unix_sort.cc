#include "engine/files/unix_sort.h"

#include <sys/socket.h>
#include <sys/un.h>

namespace cryostat::files {

namespace {

int option(int fd, int name) {
  int value = -1;
  socklen_t length = sizeof value;
  return getsockopt(fd, SOL_SOCKET, name, &value, &length) == 0 ? value : -1;
}

// Bytes of the address behind its family; -1: there is no such end.
int name_bytes(int fd, int (*call)(int, struct sockaddr*, socklen_t*)) {
  struct sockaddr_un address = {};
  socklen_t length = sizeof address;
  if (call(fd, reinterpret_cast<struct sockaddr*>(&address), &length) != 0) return -1;
  return static_cast<int>(length - sizeof(sa_family_t));
}

}  // namespace

int socket_type_of(int fd) { return option(fd, SO_TYPE); }

UnixSort unix_sort_of(int fd) {
  if (option(fd, SO_DOMAIN) != AF_UNIX) return UnixSort::kNone;
  if (option(fd, SO_ACCEPTCONN) == 1) return UnixSort::kListener;
  const int own = name_bytes(fd, getsockname), other = name_bytes(fd, getpeername);
  if (socket_type_of(fd) == SOCK_DGRAM)
    return own > 0 || other > 0 ? UnixSort::kDatagram : UnixSort::kConnection;
  return own > 0 && other < 0 ? UnixSort::kListener : UnixSort::kConnection;
}

bool has_unix_queue(int fd) {
  return option(fd, SO_DOMAIN) == AF_UNIX && option(fd, SO_ACCEPTCONN) != 1;
}

}  // namespace cryostat::files
