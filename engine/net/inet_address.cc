#include "engine/net/inet_address.h"

#include <arpa/inet.h>
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstring>

#include "proto/inet.pb.h"

namespace cryostat::net {

namespace {

const sockaddr_in& v4(const sockaddr_storage& address) {
  return reinterpret_cast<const sockaddr_in&>(address);
}
const sockaddr_in6& v6(const sockaddr_storage& address) {
  return reinterpret_cast<const sockaddr_in6&>(address);
}

std::optional<InetAddress> ask(int (*question)(int, sockaddr*, socklen_t*), int socket) {
  sockaddr_storage address = {};
  socklen_t length = sizeof address;
  if (question(socket, reinterpret_cast<sockaddr*>(&address), &length) != 0) return std::nullopt;
  if (address.ss_family != AF_INET && address.ss_family != AF_INET6) return std::nullopt;
  return InetAddress::from(address);
}

}  // namespace

Result<InetAddress> InetAddress::from(const pb::InetAddress& image) {
  sockaddr_storage address = {};
  if (image.port() > 0xffff) return fail(ErrorKind::kImages, "a socket address with a bad port");
  if (image.address().size() == sizeof(in_addr)) {
    auto& in = reinterpret_cast<sockaddr_in&>(address);
    in.sin_family = AF_INET;
    in.sin_port = htons(static_cast<uint16_t>(image.port()));
    std::memcpy(&in.sin_addr, image.address().data(), sizeof in.sin_addr);
  } else if (image.address().size() == sizeof(in6_addr)) {
    auto& in = reinterpret_cast<sockaddr_in6&>(address);
    in.sin6_family = AF_INET6;
    in.sin6_port = htons(static_cast<uint16_t>(image.port()));
    std::memcpy(&in.sin6_addr, image.address().data(), sizeof in.sin6_addr);
    in.sin6_scope_id = image.scope_id();
    in.sin6_flowinfo = image.flow_info();
  } else {
    return fail(ErrorKind::kImages, "a socket address of a bad length");
  }
  return InetAddress(address);
}

std::optional<InetAddress> InetAddress::local_of(int socket) { return ask(getsockname, socket); }
std::optional<InetAddress> InetAddress::peer_of(int socket) { return ask(getpeername, socket); }

void InetAddress::describe(pb::InetAddress& image) const {
  image.set_port(port());
  if (family() == AF_INET) {
    image.set_address(&v4(storage_).sin_addr, sizeof(in_addr));
    return;
  }
  image.set_address(&v6(storage_).sin6_addr, sizeof(in6_addr));
  image.set_scope_id(v6(storage_).sin6_scope_id);
  image.set_flow_info(v6(storage_).sin6_flowinfo);
}

uint16_t InetAddress::port() const {
  return ntohs(family() == AF_INET6 ? v6(storage_).sin6_port : v4(storage_).sin_port);
}

void InetAddress::set_port(uint16_t port) {
  if (family() == AF_INET6)
    reinterpret_cast<sockaddr_in6&>(storage_).sin6_port = htons(port);
  else
    reinterpret_cast<sockaddr_in&>(storage_).sin_port = htons(port);
}

std::string_view InetAddress::bytes() const {
  if (family() == AF_INET)
    return {reinterpret_cast<const char*>(&v4(storage_).sin_addr), sizeof(in_addr)};
  const std::string_view all(reinterpret_cast<const char*>(&v6(storage_).sin6_addr),
                             sizeof(in6_addr));
  return is_mapped() ? all.substr(12) : all;
}

bool InetAddress::is_mapped() const {
  return family() == AF_INET6 && IN6_IS_ADDR_V4MAPPED(&v6(storage_).sin6_addr);
}

bool InetAddress::is_any() const {
  const auto address = bytes();
  return std::all_of(address.begin(), address.end(), [](char c) { return c == 0; });
}

std::string InetAddress::text() const {
  std::array<char, INET6_ADDRSTRLEN> name = {};
  if (family() == AF_INET) {
    inet_ntop(AF_INET, &v4(storage_).sin_addr, name.data(), name.size());
    return fmt::format("{}:{}", name.data(), port());
  }
  inet_ntop(AF_INET6, &v6(storage_).sin6_addr, name.data(), name.size());
  return fmt::format("[{}]:{}", name.data(), port());
}

}  // namespace cryostat::net
