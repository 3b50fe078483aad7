#include "engine/net/multicast.h"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <netinet/in.h>

#include <cerrno>
#include <cstring>
#include <fstream>
#include <sstream>
#include <string>
#include <vector>

#include "proto/inet.pb.h"

namespace cryostat::net {

namespace {

struct Group {
  uint32_t interface = 0;
  std::string address;  // 4 or 16 bytes
};

// "4\teth0 : 2 V3" and below it "\t\t\t\t010000E0 1 …", the address as a number of this machine.
std::vector<Group> groups_v4() {
  std::vector<Group> groups;
  std::ifstream file("/proc/net/igmp");
  uint32_t interface = 0;
  for (std::string line; std::getline(file, line);) {
    std::istringstream words(line);
    std::string first;
    words >> first;
    if (line.empty() || first == "Idx") continue;
    if (line.front() != '\t') {
      interface = static_cast<uint32_t>(std::strtoul(first.c_str(), nullptr, 10));
      continue;
    }
    const auto number = static_cast<uint32_t>(std::strtoul(first.c_str(), nullptr, 16));
    groups.push_back({interface, std::string(reinterpret_cast<const char*>(&number), 4)});
  }
  return groups;
}

// "4 eth0 ff02…01 1 0000000C 0"
std::vector<Group> groups_v6() {
  std::vector<Group> groups;
  std::ifstream file("/proc/net/igmp6");
  for (std::string line; std::getline(file, line);) {
    std::istringstream words(line);
    Group group;
    std::string device, hex;
    words >> group.interface >> device >> hex;
    if (hex.size() != 32) continue;
    for (size_t i = 0; i < hex.size(); i += 2)
      group.address += static_cast<char>(std::stoi(hex.substr(i, 2), nullptr, 16));
    groups.push_back(std::move(group));
  }
  return groups;
}

sockaddr_storage to_sockaddr(const std::string& address) {
  sockaddr_storage storage = {};
  if (address.size() == sizeof(in_addr)) {
    storage.ss_family = AF_INET;
    std::memcpy(&reinterpret_cast<sockaddr_in&>(storage).sin_addr, address.data(), 4);
  } else {
    storage.ss_family = AF_INET6;
    std::memcpy(&reinterpret_cast<sockaddr_in6&>(storage).sin6_addr, address.data(),
                std::min(address.size(), sizeof(in6_addr)));
  }
  return storage;
}

std::string from_sockaddr(const sockaddr_storage& storage) {
  if (storage.ss_family == AF_INET)
    return {reinterpret_cast<const char*>(&reinterpret_cast<const sockaddr_in&>(storage).sin_addr),
            sizeof(in_addr)};
  return {reinterpret_cast<const char*>(&reinterpret_cast<const sockaddr_in6&>(storage).sin6_addr),
          sizeof(in6_addr)};
}

int level_of(const std::string& address) {
  return address.size() == sizeof(in_addr) ? IPPROTO_IP : IPPROTO_IPV6;
}

// struct group_filter ends in an array whose length says how much room there is.
std::vector<char> filter_buffer(const Group& group, uint32_t sources) {
  std::vector<char> buffer(GROUP_FILTER_SIZE(std::max(sources, 1u)));
  auto& filter = *reinterpret_cast<group_filter*>(buffer.data());
  filter.gf_interface = group.interface;
  filter.gf_group = to_sockaddr(group.address);
  filter.gf_numsrc = sources;
  return buffer;
}

Result<void> read_group(int socket, const Group& group, Memberships& memberships) {
  for (uint32_t room = 16;;) {
    auto buffer = filter_buffer(group, room);
    auto length = static_cast<socklen_t>(buffer.size());
    if (getsockopt(socket, level_of(group.address), MCAST_MSFILTER, buffer.data(), &length) != 0) {
      // Not a member; a socket without such options.
      if (errno == EADDRNOTAVAIL || errno == ENODEV || errno == ENOPROTOOPT || errno == EINVAL)
        return {};
      return fail_errno("get MCAST_MSFILTER");
    }
    const auto& filter = *reinterpret_cast<const group_filter*>(buffer.data());
    if (filter.gf_numsrc > room) {
      room = filter.gf_numsrc;
      continue;
    }
    auto& out = *memberships.Add();
    out.set_group(group.address);
    out.set_interface(group.interface);
    out.set_include(filter.gf_fmode == MCAST_INCLUDE);
    for (uint32_t i = 0; i < filter.gf_numsrc; ++i)
      out.add_sources(from_sockaddr(filter.gf_slist[i]));
    return {};
  }
}

}  // namespace

Result<void> read_memberships(int socket, int family, Memberships& memberships) {
  for (const auto& group : groups_v4()) TRY(read_group(socket, group, memberships));
  if (family != AF_INET6) return {};
  for (const auto& group : groups_v6()) TRY(read_group(socket, group, memberships));
  return {};
}

Result<void> join_groups(int socket, const Memberships& memberships) {
  for (const auto& wanted : memberships) {
    if (wanted.group().size() != 4 && wanted.group().size() != 16)
      return fail(ErrorKind::kImages, "a multicast group of a bad length");
    const Group group = {wanted.interface(), wanted.group()};
    group_req request = {};
    request.gr_interface = group.interface;
    request.gr_group = to_sockaddr(group.address);
    const int level = level_of(group.address);
    if (setsockopt(socket, level, MCAST_JOIN_GROUP, &request, sizeof request) != 0)
      return tl::unexpected(
          Error::from_errno(errno,
                            fmt::format("join a multicast group on interface {}", group.interface))
              .as(ErrorKind::kMachine));
    const auto sources = static_cast<uint32_t>(wanted.sources_size());
    if (!wanted.include() && sources == 0) continue;
    auto buffer = filter_buffer(group, sources);
    auto& filter = *reinterpret_cast<group_filter*>(buffer.data());
    filter.gf_fmode = wanted.include() ? MCAST_INCLUDE : MCAST_EXCLUDE;
    for (uint32_t i = 0; i < sources; ++i)
      filter.gf_slist[i] = to_sockaddr(wanted.sources(static_cast<int>(i)));
    if (setsockopt(socket, level, MCAST_MSFILTER, buffer.data(),
                   static_cast<socklen_t>(GROUP_FILTER_SIZE(sources))) != 0)
      return fail_errno("set MCAST_MSFILTER");
  }
  return {};
}

}  // namespace cryostat::net
