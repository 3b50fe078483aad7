#include "engine/net/netlink_dump.h"

#include <sys/socket.h>

#include <cerrno>
#include <cstring>
#include <vector>

#include "engine/base/unique_fd.h"

namespace cryostat::net {

namespace {

int error_of(const nlmsghdr& header) {
  if (header.nlmsg_len < NLMSG_LENGTH(sizeof(nlmsgerr))) return EIO;
  return -static_cast<const nlmsgerr*>(NLMSG_DATA(&header))->error;
}

}  // namespace

Result<void> netlink_dump(int protocol, uint16_t type, const void* request, size_t bytes,
                          const std::function<void(const nlmsghdr&)>& each) {
  const UniqueFd netlink(socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, protocol));
  if (!netlink) return fail_errno("create a netlink socket");
  std::vector<char> buffer(NLMSG_SPACE(bytes));
  nlmsghdr header = {};
  header.nlmsg_len = static_cast<uint32_t>(NLMSG_LENGTH(bytes));
  header.nlmsg_type = type;
  header.nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
  std::memcpy(buffer.data(), &header, sizeof header);
  std::memcpy(buffer.data() + NLMSG_HDRLEN, request, bytes);
  sockaddr_nl kernel = {};
  kernel.nl_family = AF_NETLINK;
  if (sendto(netlink.get(), buffer.data(), header.nlmsg_len, 0,
             reinterpret_cast<sockaddr*>(&kernel), sizeof kernel) < 0)
    return fail_errno("ask the kernel over netlink");
  buffer.resize(64 << 10);
  for (;;) {
    const auto got = recv(netlink.get(), buffer.data(), buffer.size(), 0);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return fail_errno("read an answer over netlink");
    auto left = static_cast<unsigned>(got);
    for (auto* message = reinterpret_cast<const nlmsghdr*>(buffer.data()); NLMSG_OK(message, left);
         message = NLMSG_NEXT(message, left)) {
      if (message->nlmsg_type == NLMSG_DONE) return {};
      if (message->nlmsg_type == NLMSG_ERROR)
        return fail_errno(error_of(*message), "ask the kernel over netlink");
      each(*message);
    }
  }
}

}  // namespace cryostat::net
