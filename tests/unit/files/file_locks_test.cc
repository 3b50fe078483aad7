#include "engine/files/file_locks.h"

#include "proto/files.pb.h"
#include "tests/support/catch.h"

namespace cryostat::files {
namespace {

TEST_CASE("lock lines of fdinfo are understood") {
  const auto posix = parse_lock("1: POSIX  ADVISORY  WRITE 42 08:01:1234 10 14").value();
  CHECK(posix.sort() == pb::FileLock::POSIX);
  CHECK(posix.exclusive());
  CHECK(posix.start_bytes() == 10);
  CHECK(posix.length_bytes() == 5);
  const auto ofd = parse_lock("7: OFDLCK ADVISORY  READ -1 00:2f:9 1073741824 EOF").value();
  CHECK(ofd.sort() == pb::FileLock::OFD);
  CHECK_FALSE(ofd.exclusive());
  CHECK(ofd.start_bytes() == 1073741824);
  CHECK(ofd.length_bytes() == 0);
  CHECK(parse_lock("1: LEASE  ACTIVE    READ 42 08:01:1 0 EOF")->sort() == pb::FileLock::LEASE);
  CHECK(parse_lock("2: FLOCK  ADVISORY  WRITE 42 08:01:1 0 EOF")->sort() == pb::FileLock::FLOCK);
}

TEST_CASE("other locks are refused") {
  CHECK(parse_lock("1: LEASE  BREAKING  READ 42 08:01:1 0 EOF").error().kind() ==
        ErrorKind::kRefused);
  CHECK(parse_lock("1: DELEG  ACTIVE    READ 42 08:01:1 0 EOF").error().kind() ==
        ErrorKind::kRefused);
  CHECK(parse_lock("").error().kind() == ErrorKind::kRefused);
  CHECK(parse_lock("1: POSIX  ADVISORY  WRITE 42 08:01:1234 x EOF").error().kind() ==
        ErrorKind::kRefused);
}

}  // namespace
}  // namespace cryostat::files
