// Programs that run at named moments.
#include "engine/base/action_script.h"

#include <sys/stat.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "tests/support/catch.h"

namespace cryostat {
namespace {

struct Folder {
  Folder() {
    char name[] = "/tmp/cryostat-script-XXXXXX";
    path = mkdtemp(name);
  }
  Folder(const Folder&) = delete;
  Folder& operator=(const Folder&) = delete;
  ~Folder() { std::filesystem::remove_all(path); }
  std::string script(const std::string& text) const {
    const auto file = path + "/script";
    std::ofstream(file) << text;
    chmod(file.c_str(), 0700);
    return file;
  }
  std::string read(const std::string& name) const {
    std::stringstream text;
    text << std::ifstream(path + "/" + name).rdbuf();
    return text.str();
  }
  std::string path;
};

TEST_CASE("a script is told the moment, the folder and the root's pid") {
  const Folder folder;
  const std::string first = GENERATE("#!/bin/sh\n", "");
  const auto script = folder.script(
      first + "echo $CRTOOLS_SCRIPT_ACTION $CRTOOLS_IMAGE_DIR ${CRTOOLS_INIT_PID-none} >> " +
      folder.path + "/out\n");
  const ActionScripts scripts{{script, script}, folder.path};
  const StopRequest stop;
  setenv("CRTOOLS_INIT_PID", "7", 1);
  const auto done = scripts.run("pre-dump", 0, stop);
  unsetenv("CRTOOLS_INIT_PID");
  if (!done) FAIL(done.error().message());
  REQUIRE(scripts.run("post-dump", 42, stop).has_value());
  const auto line = "pre-dump " + folder.path + " none\n";
  const auto last = "post-dump " + folder.path + " 42\n";
  CHECK(folder.read("out") == line + line + last + last);
}

TEST_CASE("every other end than status 0 is an error") {
  const Folder folder;
  const StopRequest stop;
  const auto run = [&](const std::string& text) {
    return ActionScripts{{folder.script(text)}, folder.path}.run("pre-resume", 1, stop);
  };
  auto done = run("#!/bin/sh\nexit 3\n");
  REQUIRE_FALSE(done.has_value());
  CHECK(done.error().message().find("status 3 at pre-resume") != std::string::npos);
  done = run("#!/bin/sh\nkill -9 $$\n");
  REQUIRE_FALSE(done.has_value());
  CHECK(done.error().message().find("signal 9") != std::string::npos);
  CHECK_FALSE(ActionScripts{{folder.path + "/none"}, folder.path}.run("x", 0, stop).has_value());
}

TEST_CASE("a stop request ends a script") {
  const Folder folder;
  StopRequest stop;
  stop.set(SIGINT);
  const ActionScripts scripts{{folder.script("#!/bin/sh\nexec sleep 1000\n")}, folder.path};
  CHECK_FALSE(scripts.run("pre-dump", 0, stop).has_value());
}

}  // namespace
}  // namespace cryostat
