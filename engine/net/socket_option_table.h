// Every socket option that has both a getter and a setter (socket(7), ip(7), ipv6(7), tcp(7),
// udp(7), raw(7), netlink(7)): one table for all kinds of sockets.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

namespace cryostat::net {

// What socket(2) was given.
struct SocketSort {
  int domain = 0;
  int type = 0;
  int protocol = 0;
  auto operator<=>(const SocketSort&) const = default;
};

// Of an open socket; all 0 for something else.
SocketSort sort_of(int socket);

enum class Setting : uint8_t {
  kPlain,
  // Saved even where it is what a new socket has: that depends on the machine.
  kAlways,
  // The kernel doubles what it is given; going over the limit has an option of its own.
  kSendBuffer,
  kReceiveBuffer,
  // Means something for listening sockets only; others have what the last packet left.
  kListening,
};

struct SocketOptionRow {
  int level;
  int name;
  std::string_view text;
  uint32_t max_bytes = sizeof(int);
  Setting setting = Setting::kPlain;
};

// The longest value of any option: sticky options of IPv6 (RFC 3542).
constexpr uint32_t kMaxOptionBytes = 2048;

// In the order they are set.
std::span<const SocketOptionRow> socket_option_rows();

// nullptr for an option that is not in the table.
const SocketOptionRow* find_socket_option(int level, int name);

// May a socket of this sort have the option? (It may still not: older kernels.)
bool can_have(const SocketSort& sort, const SocketOptionRow& row);

}  // namespace cryostat::net
