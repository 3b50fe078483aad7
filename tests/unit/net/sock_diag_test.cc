// The list of UNIX sockets.
#include "engine/net/sock_diag.h"

#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "engine/base/unique_fd.h"
#include "tests/support/catch.h"

namespace cryostat::net {
namespace {

uint64_t inode_of(const UniqueFd& fd) {
  struct stat st = {};
  REQUIRE(fstat(fd.get(), &st) == 0);
  return st.st_ino;
}

TEST_CASE("the ends of a pair name each other") {
  int pair[2];
  REQUIRE(socketpair(AF_UNIX, SOCK_STREAM, 0, pair) == 0);
  const UniqueFd a(pair[0]);
  UniqueFd b(pair[1]);
  REQUIRE(shutdown(a.get(), SHUT_WR) == 0);
  auto table = UnixSocketTable::read();
  if (!table && table.error().kind() == ErrorKind::kRefused) return;  // no unix_diag
  REQUIRE(table.has_value());
  const auto* found = table->find(inode_of(a));
  REQUIRE(found != nullptr);
  CHECK(found->peer_inode == inode_of(b));
  CHECK(found->type == SOCK_STREAM);
  CHECK(found->shutdown == 2);
  CHECK_FALSE(found->named());
  CHECK_FALSE(found->listening);
  CHECK(table->find(inode_of(b))->shutdown == 1);
  b.reset();
  table = UnixSocketTable::read();
  CHECK(table->find(inode_of(a))->peer_inode == 0);
}

TEST_CASE("names and listeners are told") {
  const UniqueFd fd(socket(AF_UNIX, SOCK_STREAM, 0));
  sockaddr_un address = {};
  address.sun_family = AF_UNIX;
  // Only the family: the kernel chooses an abstract name (unix(7)).
  REQUIRE(bind(fd.get(), reinterpret_cast<sockaddr*>(&address), sizeof(sa_family_t)) == 0);
  REQUIRE(listen(fd.get(), 1) == 0);
  const auto table = UnixSocketTable::read();
  if (!table) return;
  const auto* found = table->find(inode_of(fd));
  REQUIRE(found != nullptr);
  CHECK(found->named());
  CHECK(found->listening);
}

TEST_CASE("who waits in a backlog is told in order") {
  const UniqueFd fd(socket(AF_UNIX, SOCK_STREAM, 0));
  sockaddr_un address = {};
  address.sun_family = AF_UNIX;
  REQUIRE(bind(fd.get(), reinterpret_cast<sockaddr*>(&address), sizeof(sa_family_t)) == 0);
  REQUIRE(listen(fd.get(), 7) == 0);
  socklen_t length = sizeof address;
  REQUIRE(getsockname(fd.get(), reinterpret_cast<sockaddr*>(&address), &length) == 0);
  const UniqueFd first(socket(AF_UNIX, SOCK_STREAM, 0)), second(socket(AF_UNIX, SOCK_STREAM, 0));
  REQUIRE(connect(second.get(), reinterpret_cast<sockaddr*>(&address), length) == 0);
  REQUIRE(connect(first.get(), reinterpret_cast<sockaddr*>(&address), length) == 0);
  const auto table = UnixSocketTable::read();
  if (!table) return;
  const auto* found = table->find(inode_of(fd));
  REQUIRE(found != nullptr);
  CHECK(found->backlog == 7);
  CHECK(found->waiting == std::vector<uint64_t>{inode_of(second), inode_of(first)});
  CHECK(table->awaited_by(inode_of(first)) == found);
  CHECK(table->awaited_by(inode_of(fd)) == nullptr);
}

TEST_CASE("names are shown") {
  CHECK(show_unix_name("") == "(unnamed)");
  CHECK(show_unix_name("/run/x") == "/run/x");
  CHECK(show_unix_name(std::string_view("\0a\0b", 4)) == "@a\\x00b");
}

}  // namespace
}  // namespace cryostat::net
