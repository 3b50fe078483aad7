#include "engine/files/kinds/closed_socket.h"

#include <poll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "engine/files/collect_context.h"
#include "engine/files/restore_context.h"
#include "engine/procfs/task_handle.h"

namespace cryostat::files {

namespace {

int option(int fd, int name) {
  int value = -1;
  socklen_t length = sizeof value;
  return getsockopt(fd, SOL_SOCKET, name, &value, &length) == 0 ? value : -1;
}

using NameCall = int (*)(int, struct sockaddr*, socklen_t*);

bool is_unnamed(int fd, NameCall call) {
  struct sockaddr_un address = {};
  socklen_t length = sizeof address;
  return call(fd, reinterpret_cast<struct sockaddr*>(&address), &length) == 0 &&
         length == sizeof(sa_family_t);
}

// Both directions are shut down and nothing is left to read: unix(7) sockets get there when the
// other end is closed.
bool is_closed(int fd) {
  struct pollfd poll_fd = {fd, POLLRDHUP, 0};
  int unread = 0;
  return poll(&poll_fd, 1, 0) == 1 && (poll_fd.revents & POLLHUP) != 0 &&
         (poll_fd.revents & POLLRDHUP) != 0 && ioctl(fd, FIONREAD, &unread) == 0 && unread == 0;
}

bool is_connection(int type) { return type == SOCK_STREAM || type == SOCK_SEQPACKET; }

}  // namespace

bool ClosedSocketKind::matches(const OpenDescription& description) const {
  const int fd = description.copy.get();
  return S_ISSOCK(description.st.st_mode) && !description.is_path_only() &&
         option(fd, SO_DOMAIN) == AF_UNIX && is_connection(option(fd, SO_TYPE)) &&
         is_unnamed(fd, getsockname) && is_unnamed(fd, getpeername) && is_closed(fd);
}

Result<void> ClosedSocketKind::collect(CollectContext& context, const OpenDescription& description,
                                       pb::Description& image) const {
  struct ucred peer = {};
  socklen_t length = sizeof peer;
  const int fd = description.copy.get();
  if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &length) != 0)
    return fail_errno("SO_PEERCRED");
  if (!context.is_member(HostPid(peer.pid)))
    return fail(ErrorKind::kRefused,
                "UNIX socket whose other end was another process's can't be checkpointed");
  image.mutable_closed_socket()->set_type(static_cast<uint32_t>(option(fd, SO_TYPE)));
  return {};
}

bool ClosedSocketKind::owns(const pb::Description& image) const {
  return image.has_closed_socket();
}

Result<UniqueFd> ClosedSocketKind::restore(RestoreContext&, const pb::Description& image) const {
  const auto type = static_cast<int>(image.closed_socket().type());
  if (!is_connection(type)) return fail(ErrorKind::kImages, "closed socket of an unknown type");
  int pair[2];
  if (socketpair(AF_UNIX, type | SOCK_CLOEXEC, 0, pair) != 0)
    return fail_errno("create a socket pair");
  close(pair[1]);
  return UniqueFd(pair[0]);
}

}  // namespace cryostat::files
