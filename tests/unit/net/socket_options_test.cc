// Options are read from one socket and set on another.
#include "engine/net/socket_options.h"

#include <linux/filter.h>
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
