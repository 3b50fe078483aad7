#include "engine/files/kinds/inet_socket.h"

#include <fmt/format.h>
#include <linux/sockios.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <netinet/udp.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include <array>
#include <string>

#include "engine/base/log.h"
#include "engine/files/collect_context.h"
#include "engine/files/restore_context.h"
#include "engine/net/inet_address.h"
#include "engine/net/inet_diag.h"
#include "engine/net/inet_socket.h"
#include "engine/net/socket_option_table.h"

namespace cryostat::files {

namespace {

using State = pb::InetSocket;

bool is_supported(const net::SocketSort& sort) {
  if (sort.domain != AF_INET && sort.domain != AF_INET6) return false;
  switch (sort.type) {
    case SOCK_STREAM:
      return sort.protocol == IPPROTO_TCP;
    case SOCK_DGRAM:
      return sort.protocol == IPPROTO_UDP || sort.protocol == IPPROTO_UDPLITE ||
             sort.protocol == IPPROTO_ICMP || sort.protocol == IPPROTO_ICMPV6;
    default:
      return sort.type == SOCK_RAW;
  }
}

int events_of(int fd) {
  struct pollfd poll_fd = {fd, POLLIN | POLLRDHUP, 0};
  return poll(&poll_fd, 1, 0) == 1 ? poll_fd.revents : 0;
}

Failure refuse(const std::string& what) {
  return fail(ErrorKind::kRefused, fmt::format("{} can't be checkpointed", what));
}

// "TCP socket 127.0.0.1:80 <-> 127.0.0.1:4711"
std::string describe(const pb::InetSocket& image) {
  const auto text = [](const pb::InetAddress& address) {
    const auto parsed = net::InetAddress::from(address);
    return parsed ? parsed->text() : std::string("?");
  };
  const char* name = image.type() == SOCK_RAW              ? "raw"
                     : image.protocol() == IPPROTO_TCP     ? "TCP"
                     : image.protocol() == IPPROTO_UDP     ? "UDP"
                     : image.protocol() == IPPROTO_UDPLITE ? "UDP-Lite"
                                                           : "ICMP";
  std::string words = fmt::format("{} socket", name);
  if (image.has_local()) words = fmt::format("{} {}", words, text(image.local()));
  if (image.has_peer()) words = fmt::format("{} <-> {}", words, text(image.peer()));
  return words;
}

int int_option_of(int fd, int level, int name) {
  int value = 0;
  socklen_t length = sizeof value;
  return getsockopt(fd, level, name, &value, &length) == 0 ? value : 0;
}

// What keeps state in the socket that nobody can read.
Result<void> refuse_unseen(const net::InetSocketEntry* entry, int fd, const pb::InetSocket& image) {
  std::array<char, 16> protocol = {};
  socklen_t length = protocol.size() - 1;
  constexpr int kTcpUlp = 31, kTcpAoInfo = 40;
  if (getsockopt(fd, IPPROTO_TCP, kTcpUlp, protocol.data(), &length) == 0 && length != 0)
    return refuse(fmt::format("{} with the protocol {} on top", describe(image), protocol.data()));
  std::array<char, 128> authentication = {};
  length = authentication.size();
  if (getsockopt(fd, IPPROTO_TCP, kTcpAoInfo, authentication.data(), &length) == 0)
    return refuse(describe(image) + " with authentication keys (TCP-AO)");
  if (entry != nullptr && entry->has_md5)
    return refuse(describe(image) + " with signature keys (TCP_MD5SIG)");
  return {};
}

// Connections that nobody has accepted have no descriptor yet.
Result<void> collect_listener(CollectContext& context, int fd, const pb::InetSocket& image) {
  tcp_info info = {};
  socklen_t length = sizeof info;
  if (getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &length) != 0) return fail_errno("get TCP_INFO");
  if (info.tcpi_unacked == 0) return {};
  const auto local = TRY(net::InetAddress::from(image.local()));
  std::string peers;
  for (const auto* each : context.inet_diag.unaccepted(local.family(), local.port()))
    peers = fmt::format("{}{}{}", peers, peers.empty() ? "from " : ", ", each->peer);
  const auto what = fmt::format("{} with connections that were not accepted yet ({}, {})",
                                describe(image), info.tcpi_unacked, peers);
  if (!context.options().skip_in_flight)
    return refuse(what + " (--skip-in-flight leaves them out: they are reset)");
  log::warn("{}: they are left out", what);
  return {};
}

Result<void> collect_tcp(CollectContext& context, const OpenDescription& description,
                         pb::InetSocket& image) {
  const int fd = description.copy.get();
  const int state = net::tcp_state(fd);
  const auto* entry =
      context.inet_diag.find(static_cast<int>(image.family()), IPPROTO_TCP, description.st.st_ino);
  TRY(refuse_unseen(entry, fd, image));
  if (state == TCP_LISTEN) {
    image.set_state(State::LISTENING);
    return collect_listener(context, fd, image);
  }
  if (state != TCP_CLOSE) return refuse("connected " + describe(image));
  if ((events_of(fd) & POLLRDHUP) != 0) return refuse("ended " + describe(image));
  return {};
}

Result<void> collect_datagrams(CollectContext& context, const OpenDescription& description,
                               pb::InetSocket& image) {
  const int fd = description.copy.get();
  if (image.has_peer()) image.set_state(State::CONNECTED);
  const bool udp = image.protocol() == IPPROTO_UDP || image.protocol() == IPPROTO_UDPLITE;
  if (image.type() == SOCK_DGRAM && udp) {
    int unsent = 0;
    if (int_option_of(fd, IPPROTO_UDP, UDP_CORK) != 0) return refuse("corked " + describe(image));
    // MSG_MORE; what an interface still sends counts for a moment, too.
    if (ioctl(fd, SIOCOUTQ, &unsent) == 0 && unsent != 0)
      log::warn("{}: {} bytes not yet sent are dropped", describe(image), unsent);
    const auto* entry =
        context.inet_diag.find(static_cast<int>(image.family()), static_cast<int>(image.protocol()),
                               description.st.st_ino);
    if (entry != nullptr) image.set_shutdown(entry->shutdown);
  }
  const int events = events_of(fd);
  if ((events & POLLRDHUP) != 0)
    image.set_shutdown(image.shutdown() | 1);
  else if ((events & POLLIN) != 0)
    log::warn("{}: datagrams that wait in it are dropped", describe(image));
  return {};
}

}  // namespace

bool InetSocketKind::matches(const OpenDescription& description) const {
  return S_ISSOCK(description.st.st_mode) && !description.is_path_only() &&
         is_supported(net::sort_of(description.copy.get()));
}

Result<void> InetSocketKind::collect(CollectContext& context, const OpenDescription& description,
                                     pb::Description& image) const {
  auto& socket = *image.mutable_inet_socket();
  TRY(net::read_inet_socket(description.copy.get(), socket));
  if (socket.protocol() == IPPROTO_TCP && socket.type() == SOCK_STREAM)
    return collect_tcp(context, description, socket);
  return collect_datagrams(context, description, socket);
}

bool InetSocketKind::owns(const pb::Description& image) const { return image.has_inet_socket(); }

Result<UniqueFd> InetSocketKind::restore(RestoreContext&, const pb::Description& image) const {
  const auto& socket = image.inet_socket();
  UniqueFd fd = TRY(net::make_inet_socket(socket));
  TRY(net::place_inet_socket(fd.get(), socket));
  return fd;
}

}  // namespace cryostat::files
