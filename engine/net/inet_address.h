// Addresses of the Internet families, as sockaddr and in images.
#pragma once

#include <netinet/in.h>
#include <sys/socket.h>

#include <optional>
#include <string>
#include <string_view>

#include "engine/base/error.h"

namespace cryostat::pb {
class InetAddress;
}

namespace cryostat::net {

// Any address of AF_INET or AF_INET6.
class InetAddress {
 public:
  static Result<InetAddress> from(const pb::InetAddress& image);  // kImages
  static InetAddress from(const sockaddr_storage& address) { return InetAddress(address); }
  // getsockname(2), getpeername(2); nullopt when it has none or another family.
  static std::optional<InetAddress> local_of(int socket);
  static std::optional<InetAddress> peer_of(int socket);

  void describe(pb::InetAddress& image) const;
  int family() const { return storage_.ss_family; }
  uint16_t port() const;
  void set_port(uint16_t port);
  // 4 or 16 bytes in network order; of a v4-mapped one the IPv4 address.
  std::string_view bytes() const;
  bool is_any() const;
  bool is_mapped() const;  // ::ffff:a.b.c.d
  // Neither address nor port: what a socket that was never bound has.
  bool is_unset() const { return is_any() && port() == 0; }
  // "127.0.0.1:80", "[::1]:80"
  std::string text() const;

  const sockaddr* get() const { return reinterpret_cast<const sockaddr*>(&storage_); }
  socklen_t length() const {
    return family() == AF_INET6 ? sizeof(sockaddr_in6) : sizeof(sockaddr_in);
  }

 private:
  explicit InetAddress(const sockaddr_storage& storage) : storage_(storage) {}
  sockaddr_storage storage_ = {};
};

}  // namespace cryostat::net
