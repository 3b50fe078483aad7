#include "engine/restore/child_channel.h"

#include <cerrno>

#include "tests/support/catch.h"

using namespace cryostat;
using namespace cryostat::restore;

TEST_CASE("a report arrives as it was sent") {
  auto ends = ChildChannel::create();
  REQUIRE(ends.has_value());
  auto& [parent, child] = *ends;
  REQUIRE(parent.send_go().has_value());
  REQUIRE(child.wait_go().has_value());

  const auto nothing = parent.receive(0);
  REQUIRE(nothing.has_value());
  CHECK_FALSE(nothing->has_value());

  LaunchReport report;
  report.area_start = 0x1000;
  report.thread_count = 7;
  REQUIRE(child.send_ready(report).has_value());
  const auto got = parent.receive(1000);
  REQUIRE(got.has_value());
  REQUIRE(got->has_value());
  CHECK((*got)->area_start == 0x1000);
  CHECK((*got)->thread_count == 7);
}

TEST_CASE("an error arrives with kind, message, hint and lines") {
  auto ends = ChildChannel::create();
  REQUIRE(ends.has_value());
  auto& [parent, child] = *ends;
  child.send_error(Error::from_errno(ENOENT, "open /a/b")
                       .as(ErrorKind::kMachine)
                       .in("restore descriptors")
                       .with_hint("put it back")
                       .with_line("fd 3: gone"));
  const auto got = parent.receive(1000);
  REQUIRE_FALSE(got.has_value());
  CHECK(got.error().kind() == ErrorKind::kMachine);
  CHECK(got.error().message().find("restore descriptors: open /a/b") == 0);
  CHECK(got.error().message().find("ENOENT") != std::string::npos);
  CHECK(got.error().hint() == "put it back");
  REQUIRE(got.error().lines().size() == 1);
  CHECK(got.error().lines()[0] == "fd 3: gone");
}

TEST_CASE("an error too long for a message is cut, not lost") {
  auto ends = ChildChannel::create();
  REQUIRE(ends.has_value());
  auto& [parent, child] = *ends;
  child.send_error(Error(ErrorKind::kRefused, std::string(200'000, 'x')));
  const auto got = parent.receive(1000);
  REQUIRE_FALSE(got.has_value());
  CHECK(got.error().kind() == ErrorKind::kRefused);
  CHECK(got.error().message().size() > 60'000);
}

TEST_CASE("the end of the other side is told") {
  auto ends = ChildChannel::create();
  REQUIRE(ends.has_value());
  auto& [parent, child] = *ends;
  child.take_fd().reset();
  const auto got = parent.receive(1000);
  REQUIRE_FALSE(got.has_value());
  CHECK(got.error().message() == ChildChannel::kEndedWithoutAWord);
}
