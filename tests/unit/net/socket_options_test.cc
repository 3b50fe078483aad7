// Options are read from one socket and set on another.
#include "engine/net/socket_options.h"

#include <linux/filter.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include "engine/base/unique_fd.h"
#include "proto/sockets.pb.h"
#include "tests/support/catch.h"

namespace cryostat::net {
namespace {

template <typename T>
T option(const UniqueFd& fd, int name) {
  T value = {};
  socklen_t length = sizeof value;
  REQUIRE(getsockopt(fd.get(), SOL_SOCKET, name, &value, &length) == 0);
  return value;
}

template <typename T>
void set(const UniqueFd& fd, int name, const T& value) {
  REQUIRE(setsockopt(fd.get(), SOL_SOCKET, name, &value, sizeof value) == 0);
}

TEST_CASE("what was set on one socket is on the other") {
  const int family = GENERATE(AF_UNIX, AF_INET);
  const UniqueFd from(socket(family, SOCK_DGRAM, 0)), to(socket(family, SOCK_DGRAM, 0));
  set(from, SO_SNDBUF, 70000);
  set(from, SO_PRIORITY, 3);
  set(from, SO_LINGER, (struct linger){1, 17});
  set(from, SO_RCVTIMEO, (struct timeval){4, 0});
  set(from, SO_TIMESTAMPNS, 1);
  if (family == AF_UNIX) set(from, SO_PASSCRED, 1);
  SocketOptions options;
  REQUIRE(read_socket_options(from.get(), options).has_value());
  CHECK(options.size() >= 7);
  const auto applied = apply_socket_options(to.get(), options);
  INFO((applied ? "" : applied.error().message()));
  REQUIRE(applied.has_value());
  SocketOptions again;
  REQUIRE(read_socket_options(to.get(), again).has_value());
  REQUIRE(again.size() == options.size());
  for (int i = 0; i < options.size(); ++i) {
    INFO("option " << options[i].name());
    CHECK(again[i].value() == options[i].value());
  }
  CHECK(option<int>(to, SO_SNDBUF) == 140000);
  CHECK(option<struct timeval>(to, SO_RCVTIMEO).tv_sec == 4);
}

// What `from` has is put on `to`, and is the same when it is read there.
void carry(const UniqueFd& from, const UniqueFd& to) {
  SocketOptions options, again;
  const auto read = read_socket_options(from.get(), options);
  INFO((read ? "" : read.error().message()));
  REQUIRE(read.has_value());
  const auto applied = apply_socket_options(to.get(), options);
  INFO((applied ? "" : applied.error().message()));
  REQUIRE(applied.has_value());
  REQUIRE(read_socket_options(to.get(), again).has_value());
  REQUIRE(again.size() == options.size());
  for (int i = 0; i < options.size(); ++i) {
    INFO("option " << options[i].level() << ":" << options[i].name());
    CHECK(again[i].value() == options[i].value());
  }
}

template <typename T>
void set_at(const UniqueFd& fd, int level, int name, const T& value) {
  REQUIRE(setsockopt(fd.get(), level, name, &value, sizeof value) == 0);
}

int get_at(const UniqueFd& fd, int level, int name) {
  int value = -1;
  socklen_t length = sizeof value;
  REQUIRE(getsockopt(fd.get(), level, name, &value, &length) == 0);
  return value;
}

TEST_CASE("options of TCP and IP are carried over") {
  const int family = GENERATE(AF_INET, AF_INET6);
  const UniqueFd from(socket(family, SOCK_STREAM, 0)), to(socket(family, SOCK_STREAM, 0));
  set_at(from, IPPROTO_TCP, TCP_NODELAY, 1);
  set_at(from, IPPROTO_TCP, TCP_KEEPIDLE, 77);
  set_at(from, IPPROTO_TCP, TCP_DEFER_ACCEPT, 5);
  set_at(from, IPPROTO_TCP, TCP_MAXSEG, 900);
  set_at(from, IPPROTO_TCP, TCP_USER_TIMEOUT, 4321);
  REQUIRE(setsockopt(from.get(), IPPROTO_TCP, TCP_CONGESTION, "reno", 4) == 0);
  set(from, SO_PRIORITY, 5);
  if (family == AF_INET) set_at(from, IPPROTO_IP, IP_TOS, 0x10);
  if (family == AF_INET) set(from, SO_PRIORITY, 2);
  if (family == AF_INET6) set_at(from, IPPROTO_IPV6, IPV6_V6ONLY, 1);
  if (family == AF_INET6) set_at(from, IPPROTO_IPV6, IPV6_TCLASS, 8);
  carry(from, to);
  CHECK(get_at(to, IPPROTO_TCP, TCP_MAXSEG) == 900);
  CHECK(option<int>(to, SO_PRIORITY) == (family == AF_INET ? 2 : 5));
}

TEST_CASE("every sort of socket can be read") {
  struct Sort {
    int family, type, protocol;
  };
  const auto sort =
      GENERATE(Sort{AF_INET, SOCK_DGRAM, 0}, Sort{AF_INET6, SOCK_DGRAM, 0},
               Sort{AF_INET, SOCK_DGRAM, IPPROTO_UDPLITE}, Sort{AF_INET, SOCK_RAW, IPPROTO_ICMP},
               Sort{AF_INET6, SOCK_RAW, IPPROTO_ICMPV6}, Sort{AF_INET6, SOCK_RAW, IPPROTO_TCP},
               Sort{AF_NETLINK, SOCK_RAW, 0}, Sort{AF_PACKET, SOCK_RAW, 0},
               Sort{AF_UNIX, SOCK_SEQPACKET, 0});
  const UniqueFd from(socket(sort.family, sort.type, sort.protocol)),
      to(socket(sort.family, sort.type, sort.protocol));
  if (!from) return;  // this kernel has no UDP-Lite, the caller no CAP_NET_RAW
  set(from, SO_PRIORITY, 3);
  carry(from, to);
  CHECK(option<int>(to, SO_PRIORITY) == 3);
}

TEST_CASE("options that are not in the table are refused") {
  const UniqueFd to(socket(AF_UNIX, SOCK_DGRAM, 0));
  SocketOptions options;
  options.Add()->set_name(12345);
  const auto applied = apply_socket_options(to.get(), options);
  REQUIRE_FALSE(applied.has_value());
  CHECK(applied.error().kind() == ErrorKind::kImages);
}

TEST_CASE("a classic filter is read and attached") {
  const UniqueFd from(socket(AF_UNIX, SOCK_DGRAM, 0)), to(socket(AF_UNIX, SOCK_DGRAM, 0));
  CHECK(read_socket_filter(from.get()).value().empty());
  sock_filter program[] = {{BPF_RET | BPF_K, 0, 0, 5}};
  set(from, SO_ATTACH_FILTER, (sock_fprog){1, program});
  const auto filter = read_socket_filter(from.get());
  REQUIRE(filter.has_value());
  CHECK(filter->size() == sizeof program);
  REQUIRE(apply_socket_filter(to.get(), *filter).has_value());
  CHECK(read_socket_filter(to.get()).value() == *filter);
  CHECK_FALSE(apply_socket_filter(to.get(), "odd").has_value());
}

}  // namespace
}  // namespace cryostat::net
