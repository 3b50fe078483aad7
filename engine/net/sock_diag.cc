#include "engine/net/sock_diag.h"

#include <fmt/format.h>
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
  message.request.udiag_show =
      UDIAG_SHOW_NAME | UDIAG_SHOW_PEER | UDIAG_SHOW_ICONS | UDIAG_SHOW_RQLEN;
  sockaddr_nl kernel = {};
  kernel.nl_family = AF_NETLINK;
  if (sendto(netlink, &message, sizeof message, 0, reinterpret_cast<sockaddr*>(&kernel),
             sizeof kernel) < 0)
    return fail_errno("ask for the list of UNIX sockets");
  return {};
}

void parse_attribute(int type, std::string_view content, UnixSocket& socket) {
  const auto word = [&](size_t nth) {
    uint32_t value = 0;
    std::memcpy(&value, content.data() + nth * sizeof value, sizeof value);
    return value;
  };
  const size_t words = content.size() / sizeof(uint32_t);
  switch (type) {
    case UNIX_DIAG_NAME:
      socket.name = content;
      // Paths end with a zero byte here, abstract names begin with one.
      if (socket.name.size() > 1 && socket.name.front() != '\0' && socket.name.back() == '\0')
        socket.name.pop_back();
      break;
    case UNIX_DIAG_SHUTDOWN:
      if (!content.empty()) socket.shutdown = static_cast<uint8_t>(content.front());
      break;
    case UNIX_DIAG_PEER:
      if (words > 0) socket.peer_inode = word(0);
      break;
    case UNIX_DIAG_ICONS:
      for (size_t i = 0; i < words; ++i) socket.waiting.push_back(word(i));
      break;
    case UNIX_DIAG_RQLEN:
      if (words > 1 && socket.listening) socket.backlog = word(1);
      break;
    default:
      break;
  }
}

UnixSocket parse_socket(const nlmsghdr& header) {
  const auto& message = *static_cast<const unix_diag_msg*>(NLMSG_DATA(&header));
  UnixSocket socket;
  socket.inode = message.udiag_ino;
  socket.type = message.udiag_type;
  socket.listening = message.udiag_state == TCP_LISTEN;
  auto length = static_cast<int>(header.nlmsg_len - NLMSG_LENGTH(sizeof message));
  for (auto* attribute = reinterpret_cast<const rtattr*>(&message + 1); RTA_OK(attribute, length);
       attribute = RTA_NEXT(attribute, length))
    parse_attribute(attribute->rta_type,
                    {static_cast<const char*>(RTA_DATA(attribute)), RTA_PAYLOAD(attribute)},
                    socket);
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
      if (header->nlmsg_type == NLMSG_DONE) {
        table.index();
        return table;
      }
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

void UnixSocketTable::index() {
  for (const auto& [inode, socket] : sockets_) {
    for (const uint64_t client : socket.waiting)
      if (client != 0) awaited_by_[client] = inode;
    if (socket.listening) listening_names_.insert(socket.name);
    if (socket.type == SOCK_DGRAM && socket.named()) datagrams_[socket.name] = inode;
    if (socket.peer_inode != 0) connected_.emplace(socket.peer_inode, inode);
  }
}

const UnixSocket* UnixSocketTable::awaited_by(uint64_t inode) const {
  const auto listener = awaited_by_.find(inode);
  return listener == awaited_by_.end() ? nullptr : find(listener->second);
}

const UnixSocket* UnixSocketTable::datagram_at(const std::string& name) const {
  const auto socket = datagrams_.find(name);
  return socket == datagrams_.end() ? nullptr : find(socket->second);
}

std::vector<const UnixSocket*> UnixSocketTable::connected_to(uint64_t inode) const {
  const auto* socket = find(inode);
  std::vector<const UnixSocket*> others;
  const auto [first, last] = connected_.equal_range(inode);
  for (auto it = first; it != last; ++it)
    if (socket == nullptr || it->second != socket->peer_inode) others.push_back(find(it->second));
  return others;
}

std::string show_unix_name(std::string_view name) {
  if (name.empty()) return "(unnamed)";
  std::string text;
  if (name.front() == '\0') {
    text = "@";
    name.remove_prefix(1);
  }
  for (const char c : name) {
    if (c >= ' ' && c < 0x7f && c != '\\') {
      text += c;
    } else {
      text += fmt::format("\\x{:02x}", static_cast<unsigned char>(c));
    }
  }
  return text;
}

}  // namespace cryostat::net
