// Names of what lies outside.
#include "engine/files/external.h"

#include <sys/stat.h>

#include "engine/files/open_description.h"
#include "tests/support/catch.h"

namespace cryostat::files {
namespace {

TEST_CASE("external names are read") {
  CHECK(parse_external("pipe[4711]")->key == "pipe[4711]");
  CHECK(parse_external("pipe:[4711]")->key == "pipe[4711]");
  CHECK(parse_external("unix[12]")->key == "socket[12]");
  CHECK(parse_external("unix[12]:peer")->key == "peer");
  const auto file = parse_external("file[1F:abc]:log:1");
  REQUIRE(file.has_value());
  CHECK(file->first == 0x1f);
  CHECK(file->second == 0xabc);
  CHECK(file->key == "log:1");
  CHECK(parse_external("tty[8803:19]")->key == "tty[8803:19]");
}

TEST_CASE("what is no external name is a usage error") {
  const std::string text =
      GENERATE("", "pipe", "pipe[]", "pipe[x]", "pipe[1:2]", "file[12]", "file[g:1]", "file[1:2",
               "mnt[/a]:b", "pipe[1]key", "pipe[1]:", "tty[1:99999999999999999999]");
  INFO(text);
  const auto name = parse_external(text);
  REQUIRE_FALSE(name.has_value());
  CHECK(name.error().kind() == ErrorKind::kUsage);
}

TEST_CASE("descriptors are handed in by key") {
  InheritedFds fds;
  REQUIRE(add_inherited("fd[0]:pipe:[4711]", fds).has_value());
  REQUIRE(add_inherited("fd[1]:unix[12]", fds).has_value());
  REQUIRE(add_inherited("fd[2]:my key", fds).has_value());
  CHECK(fds == InheritedFds{{"pipe[4711]", 0}, {"socket[12]", 1}, {"my key", 2}});
  CHECK_FALSE(add_inherited("fd[1]:my key", fds).has_value());
  CHECK_FALSE(add_inherited("fd[99999]:other", fds).has_value());
  CHECK_FALSE(add_inherited("fd[x]:other", fds).has_value());
  CHECK_FALSE(add_inherited("1:other", fds).has_value());
  CHECK_FALSE(add_inherited("fd[1]:", fds).has_value());
}

TEST_CASE("a description is known by its name") {
  OpenDescription description;
  description.slots.push_back({});
  description.link = "pipe:[4711]";
  description.st.st_mode = S_IFIFO | 0600;
  description.st.st_ino = 4711;
  description.info.mount_id = 15;
  CHECK(parse_external("pipe[4711]")->names(description));
  CHECK(parse_external("file[f:1267]")->names(description));
  CHECK_FALSE(parse_external("pipe[4712]")->names(description));
  CHECK_FALSE(parse_external("unix[4711]")->names(description));
  CHECK(external_key({*parse_external("unix[4711]"), *parse_external("pipe[4711]:k")},
                     description) == "k");
}

}  // namespace
}  // namespace cryostat::files
