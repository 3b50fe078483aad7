// Acting as a process that is gone.
#include "engine/net/stand_in.h"

#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "engine/net/unix_pair.h"
#include "proto/sockets.pb.h"
#include "tests/support/catch.h"

namespace cryostat::net {
namespace {

pid_t gone_pid() {
  const pid_t child = fork();
  if (child == 0) _exit(0);
  waitpid(child, nullptr, 0);
  return child;
}

struct ucred creator_of(const UniqueFd& fd) {
  struct ucred creator = {};
  socklen_t length = sizeof creator;
  REQUIRE(getsockopt(fd.get(), SOL_SOCKET, SO_PEERCRED, &creator, &length) == 0);
  return creator;
}

TEST_CASE("a pair is noted as made by a process and user that is gone") {
  if (geteuid() != 0) return;
  pb::UnixSocketPair image;
  image.set_type(SOCK_STREAM);
  image.set_peer(pb::UnixSocketPair::OPEN);
  image.mutable_creator()->set_pid(gone_pid());
  image.mutable_creator()->set_uid(1234);
  image.mutable_creator()->set_gid(4321);
  const auto pair = make_unix_pair(image);
  if (!pair) FAIL(pair.error().message());
  const auto creator = creator_of(pair->second);
  CHECK(creator.pid == image.creator().pid());
  CHECK(creator.uid == 1234);
  CHECK(creator.gid == 4321);
  CHECK(geteuid() == 0);
  CHECK(getegid() == 0);
  CHECK(send(pair->first.get(), "x", 1, 0) == 1);
}

TEST_CASE("a pid that is in use is left alone") {
  int called = 0;
  const auto acted = act_as_gone_process(getpid(), [&] {
    ++called;
    return 0;
  });
  REQUIRE(acted.has_value());
  CHECK_FALSE(*acted);
  CHECK(called == 0);
}

TEST_CASE("errors of the action are told") {
  const auto acted = act_as_gone_process(gone_pid(), [] { return ENOSPC; });
  if (acted) return;  // pids can't be chosen here
  CHECK(acted.error().errno_value() == ENOSPC);
}

}  // namespace
}  // namespace cryostat::net
