#include "engine/net/inet_socket.h"

#include <fmt/format.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include <cerrno>

#include "engine/net/inet_address.h"
#include "engine/net/multicast.h"
#include "engine/net/socket_option_table.h"
#include "engine/net/socket_options.h"
#include "engine/net/socket_owner.h"
#include "proto/inet.pb.h"

namespace cryostat::net {

namespace {

bool is_tcp(const pb::InetSocket& image) { return image.protocol() == IPPROTO_TCP; }

Result<void> set_reuse_address(int socket, int value) {
  if (setsockopt(socket, SOL_SOCKET, SO_REUSEADDR, &value, sizeof value) != 0)
    return fail_errno("set SO_REUSEADDR");
  return {};
}

void read_addresses(int socket, pb::InetSocket& image) {
  const auto local = InetAddress::local_of(socket);
  // The port of a raw socket is its protocol.
  const bool bound = local && (image.type() == SOCK_RAW ? !local->is_any() : !local->is_unset());
  if (bound) local->describe(*image.mutable_local());
  if (const auto peer = InetAddress::peer_of(socket)) peer->describe(*image.mutable_peer());
}

// A backlog is told as the limit of the accept queue.
void read_backlog(int socket, pb::InetSocket& image) {
  if (tcp_state(socket) != TCP_LISTEN) return;
  tcp_info info = {};
  socklen_t length = sizeof info;
  if (getsockopt(socket, IPPROTO_TCP, TCP_INFO, &info, &length) == 0)
    image.set_backlog(info.tcpi_sacked);
}

}  // namespace

int tcp_state(int socket) {
  if (sort_of(socket).protocol != IPPROTO_TCP) return 0;
  tcp_info info = {};
  socklen_t length = sizeof info;
  return getsockopt(socket, IPPROTO_TCP, TCP_INFO, &info, &length) == 0 ? info.tcpi_state : 0;
}

Result<void> read_inet_socket(int socket, pb::InetSocket& image) {
  struct stat st;
  if (fstat(socket, &st) != 0) return fail_errno("stat a socket");
  image.set_mode(st.st_mode);
  image.set_uid(st.st_uid);
  image.set_gid(st.st_gid);
  const auto sort = sort_of(socket);
  image.set_family(static_cast<uint32_t>(sort.domain));
  image.set_type(static_cast<uint32_t>(sort.type));
  image.set_protocol(static_cast<uint32_t>(sort.protocol));
  read_addresses(socket, image);
  read_backlog(socket, image);
  TRY(read_socket_options(socket, *image.mutable_options()));
  image.set_filter(TRY(read_socket_filter(socket)));
  if (sort.type == SOCK_STREAM) return {};
  return read_memberships(socket, sort.domain, *image.mutable_memberships());
}

Result<UniqueFd> make_inet_socket(const pb::InetSocket& image) {
  if (image.family() != AF_INET && image.family() != AF_INET6)
    return fail(ErrorKind::kImages, fmt::format("an Internet socket of family {}", image.family()));
  UniqueFd fd(socket(static_cast<int>(image.family()),
                     static_cast<int>(image.type()) | SOCK_CLOEXEC,
                     static_cast<int>(image.protocol())));
  if (!fd)
    return tl::unexpected(Error::from_errno(errno, "create a socket").as(ErrorKind::kMachine));
  TRY(apply_socket_owner(fd.get(), image.uid(), image.gid(), image.mode()));
  TRY(apply_socket_filter(fd.get(), image.filter()));
  TRY(apply_socket_options(fd.get(), image.options()));
  // Connections of the same port are there before or after it: their order is chance.
  if (is_tcp(image)) TRY(set_reuse_address(fd.get(), 1));
  return fd;
}

Result<void> bind_inet_socket(int socket, const pb::InetSocket& image) {
  if (!image.has_local()) return {};
  const auto local = TRY(InetAddress::from(image.local()));
  if (bind(socket, local.get(), local.length()) == 0) return {};
  auto error = Error::from_errno(errno, fmt::format("bind a socket to {}", local.text()))
                   .as(ErrorKind::kMachine);
  if (error.errno_value() == EADDRINUSE)
    return tl::unexpected(
        std::move(error).with_hint("another process has the port (ss -nap); end it"));
  if (error.errno_value() == EADDRNOTAVAIL)
    return tl::unexpected(
        std::move(error).with_hint("no interface has the address here (ip address add)"));
  return tl::unexpected(std::move(error));
}

Result<void> settle_inet_socket(int socket, const pb::InetSocket& image) {
  if (is_tcp(image))
    TRY(set_reuse_address(socket, int_option(image.options(), SOL_SOCKET, SO_REUSEADDR, 0)));
  return {};
}

Result<void> place_inet_socket(int socket, const pb::InetSocket& image) {
  TRY(bind_inet_socket(socket, image));
  if (image.state() == pb::InetSocket::LISTENING &&
      listen(socket, static_cast<int>(image.backlog())) != 0)
    return tl::unexpected(Error::from_errno(errno, "listen on a socket").as(ErrorKind::kMachine));
  TRY(join_groups(socket, image.memberships()));
  if (image.state() == pb::InetSocket::CONNECTED) {
    const auto peer = TRY(InetAddress::from(image.peer()));
    if (connect(socket, peer.get(), peer.length()) != 0)
      return tl::unexpected(
          Error::from_errno(errno, fmt::format("connect a socket with {}", peer.text()))
              .as(ErrorKind::kMachine));
  }
  if ((image.shutdown() & 3) != 0) {
    const int how = image.shutdown() == 1 ? SHUT_RD : image.shutdown() == 2 ? SHUT_WR : SHUT_RDWR;
    // ENOTCONN is said of one without a peer, and done all the same.
    if (shutdown(socket, how) != 0 && errno != ENOTCONN) return fail_errno("shut a socket down");
  }
  return settle_inet_socket(socket, image);
}

}  // namespace cryostat::net
