#include "engine/net/unix_address.h"

#include <fmt/format.h>
#include <linux/sockios.h>
#include <sys/ioctl.h>

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <cstring>

namespace cryostat::net {

namespace {

constexpr socklen_t kPathOffset = offsetof(sockaddr_un, sun_path);
constexpr unsigned long kSiocUnixFile = SIOCPROTOPRIVATE;  // SIOCUNIXFILE, linux/un.h; 4.11

std::string name_by(int socket, int (*call)(int, sockaddr*, socklen_t*)) {
  sockaddr_un address = {};
  socklen_t length = sizeof address;
  if (call(socket, reinterpret_cast<sockaddr*>(&address), &length) != 0) return {};
  return unix_name_of(address, length);
}

}  // namespace

Result<UnixAddress> UnixAddress::of(std::string_view name) {
  UnixAddress made;
  if (name.empty() || name.size() > sizeof made.address.sun_path)
    return fail(ErrorKind::kImages, fmt::format("a UNIX socket's name of {} bytes", name.size()));
  made.address.sun_family = AF_UNIX;
  std::memcpy(made.address.sun_path, name.data(), name.size());
  made.length = kPathOffset + static_cast<socklen_t>(name.size());
  // A path is ended by the kernel where it is as long as can be.
  if (!is_abstract(name) && name.size() < sizeof made.address.sun_path) ++made.length;
  return made;
}

std::string unix_name_of(const sockaddr_un& address, socklen_t length) {
  if (length <= kPathOffset) return {};
  const auto bytes = std::min<size_t>(length - kPathOffset, sizeof address.sun_path);
  std::string name(address.sun_path, bytes);
  if (!is_abstract(name)) name.resize(strnlen(address.sun_path, bytes));
  return name;
}

std::string own_unix_name(int socket) { return name_by(socket, getsockname); }
std::string peer_unix_name(int socket) { return name_by(socket, getpeername); }

Result<UniqueFd> open_unix_file(int socket) {
  UniqueFd file(ioctl(socket, kSiocUnixFile, 0));
  if (file) return file;
  if (errno == ENOENT) return UniqueFd();
  if (errno == EPERM)
    return tl::unexpected(Error::from_errno(EPERM, "find the file of a UNIX socket")
                              .with_hint("that takes the capability CAP_NET_ADMIN"));
  return fail_errno("find the file of a UNIX socket");
}

Result<UnixRoute> UnixRoute::to(int socket) {
  UnixRoute route;
  const auto name = own_unix_name(socket);
  if (is_abstract(name)) {
    route.address_ = TRY(UnixAddress::of(name));
    return route;
  }
  route.file_ = TRY(open_unix_file(socket));
  if (!route.file_)
    return fail(ErrorKind::kFailed, "a UNIX socket that is to be reached has no name");
  route.address_ = TRY(UnixAddress::of(fmt::format("/proc/self/fd/{}", route.file_.get())));
  return route;
}

bool is_unix_name_in_use(std::string_view name) {
  const auto address = UnixAddress::of(name);
  if (!address) return false;
  // A datagram socket can be connected to one of its sort without anybody noticing; of the other
  // sorts the kernel says that they are there.
  const UniqueFd probe(socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  return connect(probe.get(), address->get(), address->length) == 0 || errno == EPROTOTYPE ||
         errno == EPERM;
}

}  // namespace cryostat::net
