#include "engine/net/sock_diag.h"

#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <linux/sock_diag.h>
#include <linux/unix_diag.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <cstring>
#include <vector>

#include "engine/base/unique_fd.h"

namespace cryostat::net {

namespace {

Failure no_unix_diag(int error) {
  return tl::unexpected(
      Error(ErrorKind::kRefused,
            "the other end of a UNIX socket can't be told: this kernel has no unix_diag (" +
                errno_name(error) + ")")
          .with_hint("load the module unix_diag or use a kernel built with CONFIG_UNIX_DIAG"));
}

Result<void> ask_for_all(int netlink) {
  struct {
    nlmsghdr header;
    unix_diag_req request;
  } message = {};
  message.header.nlmsg_len = sizeof message;
  message.header.nlmsg_type = SOCK_DIAG_BY_FAMILY;
  message.header.nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
  message.request.sdiag_family = AF_UNIX;
  message.request.udiag_states = ~0u;
  message.request.udiag_show = UDIAG_SHOW_NAME | UDIAG_SHOW_PEER;
  sockaddr_nl kernel = {};
  kernel.nl_family = AF_NETLINK;
  if (sendto(netlink, &message, sizeof message, 0, reinterpret_cast<sockaddr*>(&kernel),
             sizeof kernel) < 0)
    return fail_errno("ask for the list of UNIX sockets");
  return {};
}

UnixSocket parse_socket(const nlmsghdr& header) {
  const auto& message = *static_cast<const unix_diag_msg*>(NLMSG_DATA(&header));
  UnixSocket socket;
  socket.inode = message.udiag_ino;
  socket.type = message.udiag_type;
  socket.listening = message.udiag_state == TCP_LISTEN;
  auto length = static_cast<int>(header.nlmsg_len - NLMSG_LENGTH(sizeof message));
  for (auto* attribute = reinterpret_cast<const rtattr*>(&message + 1); RTA_OK(attribute, length);
       attribute = RTA_NEXT(attribute, length)) {
    if (attribute->rta_type == UNIX_DIAG_NAME) socket.named = true;
    if (attribute->rta_type == UNIX_DIAG_SHUTDOWN && RTA_PAYLOAD(attribute) >= 1)
      socket.shutdown = *static_cast<const uint8_t*>(RTA_DATA(attribute));
    if (attribute->rta_type == UNIX_DIAG_PEER && RTA_PAYLOAD(attribute) >= sizeof(uint32_t)) {
      uint32_t peer = 0;
      std::memcpy(&peer, RTA_DATA(attribute), sizeof peer);
      socket.peer_inode = peer;
    }
  }
  return socket;
}

int error_of(const nlmsghdr& header) {
  if (header.nlmsg_len < NLMSG_LENGTH(sizeof(nlmsgerr))) return EIO;
  return -static_cast<const nlmsgerr*>(NLMSG_DATA(&header))->error;
}

}  // namespace

Result<UnixSocketTable> UnixSocketTable::read() {
  const UniqueFd netlink(socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_SOCK_DIAG));
  if (!netlink) return no_unix_diag(errno);
  TRY(ask_for_all(netlink.get()));
  UnixSocketTable table;
  std::vector<char> buffer(64 << 10);
  for (;;) {
    const auto got = recv(netlink.get(), buffer.data(), buffer.size(), 0);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return fail_errno("read the list of UNIX sockets");
    auto left = static_cast<unsigned>(got);
    for (auto* header = reinterpret_cast<const nlmsghdr*>(buffer.data()); NLMSG_OK(header, left);
         header = NLMSG_NEXT(header, left)) {
      if (header->nlmsg_type == NLMSG_DONE) return table;
      if (header->nlmsg_type == NLMSG_ERROR) return no_unix_diag(error_of(*header));
      if (header->nlmsg_type != SOCK_DIAG_BY_FAMILY ||
          header->nlmsg_len < NLMSG_LENGTH(sizeof(unix_diag_msg)))
        continue;
      auto found = parse_socket(*header);
      // Orphans (closed, still somebody's peer) have no inode.
      if (found.inode != 0) table.sockets_.insert_or_assign(found.inode, found);
    }
  }
}

const UnixSocket* UnixSocketTable::find(uint64_t inode) const {
  const auto found = sockets_.find(inode);
  return found == sockets_.end() ? nullptr : &found->second;
}

}  // namespace cryostat::net
