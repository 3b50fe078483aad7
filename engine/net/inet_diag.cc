#include "engine/net/inet_diag.h"

#include <arpa/inet.h>
#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <linux/sock_diag.h>
#include <netinet/tcp.h>

#include <cstring>

#include "engine/base/log.h"
#include "engine/net/inet_address.h"
#include "engine/net/netlink_dump.h"

namespace cryostat::net {

namespace {

std::string peer_text(const inet_diag_msg& message) {
  sockaddr_storage address = {};
  if (message.idiag_family == AF_INET) {
    auto& in = reinterpret_cast<sockaddr_in&>(address);
    in.sin_port = message.id.idiag_dport;
    std::memcpy(&in.sin_addr, message.id.idiag_dst, sizeof in.sin_addr);
  } else {
    auto& in = reinterpret_cast<sockaddr_in6&>(address);
    in.sin6_port = message.id.idiag_dport;
    std::memcpy(&in.sin6_addr, message.id.idiag_dst, sizeof in.sin6_addr);
  }
  address.ss_family = message.idiag_family;
  return InetAddress::from(address).text();
}

InetSocketEntry parse_entry(const nlmsghdr& header) {
  const auto& message = *static_cast<const inet_diag_msg*>(NLMSG_DATA(&header));
  InetSocketEntry entry;
  entry.inode = message.idiag_inode;
  entry.state = message.idiag_state;
  entry.local_port = ntohs(message.id.idiag_sport);
  if (entry.inode == 0) entry.peer = peer_text(message);
  auto length = static_cast<int>(header.nlmsg_len - NLMSG_LENGTH(sizeof message));
  for (auto* attribute = reinterpret_cast<const rtattr*>(&message + 1); RTA_OK(attribute, length);
       attribute = RTA_NEXT(attribute, length)) {
    if (attribute->rta_type == INET_DIAG_SHUTDOWN && RTA_PAYLOAD(attribute) >= 1)
      entry.shutdown = *static_cast<const uint8_t*>(RTA_DATA(attribute));
    if (attribute->rta_type == INET_DIAG_MD5SIG) entry.has_md5 = true;
  }
  return entry;
}

}  // namespace

InetDiag::List& InetDiag::list(int family, int protocol) {
  const auto [found, is_new] = lists_.try_emplace({family, protocol});
  List& list = found->second;
  if (!is_new) return list;
  inet_diag_req_v2 request = {};
  request.sdiag_family = static_cast<uint8_t>(family);
  request.sdiag_protocol = static_cast<uint8_t>(protocol);
  request.idiag_states = ~(1u << TCP_TIME_WAIT);
  const auto done = netlink_dump(NETLINK_SOCK_DIAG, SOCK_DIAG_BY_FAMILY, &request, sizeof request,
                                 [&](const nlmsghdr& header) {
                                   if (header.nlmsg_len < NLMSG_LENGTH(sizeof(inet_diag_msg)))
                                     return;
                                   auto entry = parse_entry(header);
                                   if (entry.inode == 0)
                                     list.without_inode.push_back(std::move(entry));
                                   else
                                     list.by_inode.emplace(entry.inode, std::move(entry));
                                 });
  if (!done)
    log::debug("no list of the sockets of protocol {}: {}", protocol, done.error().message());
  return list;
}

const InetSocketEntry* InetDiag::find(int family, int protocol, uint64_t inode) {
  const auto& by_inode = list(family, protocol).by_inode;
  const auto found = by_inode.find(inode);
  return found == by_inode.end() ? nullptr : &found->second;
}

std::vector<const InetSocketEntry*> InetDiag::unaccepted(int family, uint16_t local_port) {
  std::vector<const InetSocketEntry*> found;
  std::vector<int> families = {AF_INET};  // a listener of IPv6 may take IPv4 connections
  if (family == AF_INET6) families.push_back(AF_INET6);
  for (const int each : families)
    for (const auto& entry : list(each, IPPROTO_TCP).without_inode)
      if (entry.local_port == local_port && entry.state == TCP_ESTABLISHED) found.push_back(&entry);
  return found;
}

}  // namespace cryostat::net
