#include "engine/base/error.h"

#include <cerrno>

#include "engine/base/deadline.h"
#include "engine/base/refusals.h"
#include "tests/support/catch.h"

using namespace cryostat;

namespace {
Result<int> open_something() { return fail_errno(ENOENT, "open /x"); }
Result<int> read_settings() { return TRY_IN(open_something(), "read the settings") + 1; }
Result<void> start() {
  TRY(read_settings());
  return {};
}
}  // namespace

TEST_CASE("an error says what was being done, outermost first, and why") {
  const auto result = start();
  REQUIRE_FALSE(result);
  CHECK(result.error().message() ==
        "read the settings: open /x: No such file or directory (ENOENT)");
  CHECK(result.error().errno_value() == ENOENT);
}

TEST_CASE("errno values choose the kind unless another is given") {
  CHECK(Error::from_errno(ESRCH, "x").kind() == ErrorKind::kTargetGone);
  CHECK(Error::from_errno(EACCES, "x").kind() == ErrorKind::kPermission);
  CHECK(Error::from_errno(EPERM, "x").kind() == ErrorKind::kPermission);
  CHECK(Error::from_errno(EIO, "x").kind() == ErrorKind::kFailed);
  CHECK(Error::from_errno(EPERM, "x").as(ErrorKind::kMachine).kind() == ErrorKind::kMachine);
  CHECK(errno_name(12345) == "errno 12345");
}

TEST_CASE("an error survives being moved onto itself") {
  Error error(ErrorKind::kFailed, "a text too long for the small string optimisation of libstdc++");
  error = std::move(error).with_hint("act").with_line("another line");
  CHECK(error.message().starts_with("a text"));
  CHECK(error.hint() == "act");
  CHECK(error.lines().size() == 1);
}

TEST_CASE("refusals are one error with a line for each object") {
  Refusals refusals;
  CHECK(refusals.check());
  refusals.add(HostPid(42), "fd 7", "io_uring instance can't be checkpointed");
  refusals.add(HostPid(42), "", "is traced by pid 1");
  const auto result = refusals.check();
  REQUIRE_FALSE(result);
  CHECK(result.error().kind() == ErrorKind::kRefused);
  CHECK(result.error().message() == "pid 42 fd 7: io_uring instance can't be checkpointed");
  CHECK(result.error().lines() == std::vector<std::string>{"pid 42: is traced by pid 1"});
}

TEST_CASE("a stop request is an error once it is set") {
  StopRequest stop;
  CHECK(stop.check());
  stop.set(2);
  REQUIRE_FALSE(stop.check());
  CHECK(stop.check().error().message() == "interrupted by SIGINT");
  stop.set(-1);
  CHECK(stop.check().error().message().find("front process") != std::string::npos);
}
