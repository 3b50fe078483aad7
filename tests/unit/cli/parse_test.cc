#include <fstream>
#include <vector>

#include "engine/cli/options.h"
#include "tests/support/catch.h"

using namespace cryostat;
using cli::ConfigPaths;

namespace {
ConfigPaths no_config() { return {"", ""}; }

Result<cli::DumpOptions> dump_of(std::vector<const char*> arguments,
                                 const ConfigPaths& paths = no_config()) {
  return cli::parse_dump(arguments, paths);
}
Result<cli::RestoreOptions> restore_of(std::vector<const char*> arguments,
                                       const ConfigPaths& paths = no_config()) {
  return cli::parse_restore(arguments, paths);
}

std::string written(const std::string& name, const std::string& text) {
  const std::string path = "/tmp/cryostat-unit-cli-" + std::to_string(getpid()) + name;
  std::ofstream(path) << text;
  return path;
}
}  // namespace

TEST_CASE("cr-dump: defaults") {
  const auto options = dump_of({"-t", "42"});
  REQUIRE(options);
  CHECK(options->dump.pid == HostPid(42));
  CHECK(options->dump.images_dir == ".");
  CHECK(options->dump.work_dir == ".");
  CHECK(options->dump.after == dump::After::kKill);
  CHECK(options->dump.timeout == std::chrono::seconds(10));
  CHECK(options->dump.ghost_limit_bytes == 1 << 20);
  CHECK(options->shared.verbosity == 1);
}

TEST_CASE("cr-dump: options spelled as criu users spell them") {
  const auto options =
      dump_of({"--tree", "42", "--images-dir", "/d", "-W", "/w", "--leave-running", "--shell-job",
               "-v4", "-o", "dump.log", "--ghost-limit", "2M", "--display-stats", "--timeout=2.5"});
  REQUIRE(options);
  CHECK(options->dump.images_dir == "/d");
  CHECK(options->dump.work_dir == "/w");
  CHECK(options->dump.after == dump::After::kLeaveRunning);
  CHECK(options->dump.shell_job);
  CHECK(options->shared.verbosity == 4);
  CHECK(options->shared.log_file == "dump.log");
  CHECK(options->shared.display_stats);
  CHECK(options->dump.ghost_limit_bytes == 2u << 20);
  CHECK(options->dump.timeout == std::chrono::milliseconds(2500));
}

TEST_CASE("verbosity in every spelling") {
  const auto level = [](std::vector<const char*> more) {
    more.insert(more.begin(), {"-t", "1"});
    const auto options = dump_of(more);
    return options ? options->shared.verbosity : -1;
  };
  CHECK(level({"-v"}) == 2);
  CHECK(level({"-vv"}) == 3);
  CHECK(level({"-vvv"}) == 4);
  CHECK(level({"-vvvvvvvv"}) == 4);
  CHECK(level({"-v", "-v"}) == 3);
  CHECK(level({"-v0"}) == 0);
  CHECK(level({"-Rv3"}) == 3);
  CHECK(level({"--verbosity=2"}) == 2);
  CHECK(level({"-v5"}) == -1);
  CHECK(level({"-vx"}) == -1);
}

TEST_CASE("cr-dump: usage errors name the option") {
  const auto message = [](std::vector<const char*> arguments) {
    const auto options = dump_of(std::move(arguments));
    REQUIRE_FALSE(options);
    CHECK(options.error().kind() == ErrorKind::kUsage);
    return options.error().message();
  };
  CHECK(message({}).find("-t PID") != std::string::npos);
  CHECK(message({"-t", "zero"}).find("--tree") != std::string::npos);
  CHECK(message({"-t", "0"}).find("process id") != std::string::npos);
  CHECK(message({"-t", "1", "--frobnicate"}) == "unknown option --frobnicate");
  CHECK(message({"-t", "1", "--tcp-established"}) ==
        "option --tcp-established is not supported: TCP connections can't be checkpointed yet");
  CHECK(message({"-t", "1", "-J"}).find("namespaces") != std::string::npos);
  CHECK(dump_of({"-t", "1", "-x"}));
  CHECK(dump_of({"-t", "1", "-l"}));
  CHECK(message({"-t", "1", "--external", "mnt[x]:y"}).find("--external") != std::string::npos);
  CHECK(message({"-t", "1", "extra"}) == "unexpected argument 'extra'");
  CHECK(message({"-t", "1", "-R", "-s"}).find("exclude") != std::string::npos);
  CHECK(message({"-t", "1", "--transfer", "pigeon"}).find("parasite") != std::string::npos);
  CHECK(message({"-t", "1", "-t", "2"}).find("tree") != std::string::npos);
  CHECK(message({"-t"}).find("-t") != std::string::npos);
  CHECK(message({"-t", "1", "--leave-run"}).find("unknown") != std::string::npos);
  CHECK(message({"-t", "1", "--json", "-o", "-"}).find("stdout") != std::string::npos);
  CHECK(message({"-t", "1", "--timeout", "0"}).find("--timeout") != std::string::npos);
}

TEST_CASE("help and version need nothing else") {
  CHECK(dump_of({"--help"})->shared.help);
  CHECK(dump_of({"-V"})->shared.version);
  CHECK(restore_of({"-h"})->shared.help);
  CHECK(cli::dump_help().find("--ghost-limit") != std::string::npos);
  CHECK(cli::restore_help().find("--vdso") == std::string::npos);
}

TEST_CASE("cr-restore: options") {
  const auto options = restore_of({"-D", "ckpt", "-d", "-S", "--pidfile", "p", "--restore-threads",
                                   "3", "--vdso", "retarget", "-s", "-j", "--dry-run"});
  REQUIRE(options);
  CHECK(options->restore.detached);
  CHECK(options->restore.sibling);
  CHECK(options->pidfile == "p");
  CHECK(options->restore.restore_threads == 3);
  CHECK(options->restore.vdso == restore::VdsoMode::kRetarget);
  CHECK(options->restore.leave_stopped);
  CHECK(options->restore.dry_run);
  CHECK(restore_of({"--restore-threads", "auto"})->restore.restore_threads == 0);
  CHECK_FALSE(restore_of({"-S"}));
  CHECK_FALSE(restore_of({"-t", "1"}));
}

TEST_CASE("configuration files: the command line wins, then --config, then the user's") {
  const std::string named = written("named", "images-dir /named\nghost-limit = 3K\n");
  const std::string user =
      written("user", "images-dir /user\nwork-dir \"/user work\"\n# comment\n");
  const std::string system = written("system",
                                     "work-dir /system\nleave-running\nverbosity 3\n"
                                     "restore-detached # the other tool's\n");
  const ConfigPaths paths{system, user};
  auto options = dump_of({"-t", "1", "--config", named.c_str()}, paths);
  REQUIRE(options);
  CHECK(options->dump.images_dir == "/named");
  CHECK(options->dump.work_dir == "/user work");
  CHECK(options->dump.ghost_limit_bytes == 3072);
  CHECK(options->dump.after == dump::After::kLeaveRunning);
  CHECK(options->shared.verbosity == 3);

  options = dump_of({"-t", "1", "-s", "-D", "x", "-v2", "--config", named.c_str()}, paths);
  REQUIRE(options);
  CHECK(options->dump.images_dir == "x");
  CHECK(options->dump.after == dump::After::kLeaveStopped);
  CHECK(options->shared.verbosity == 2);

  options = dump_of({"-t", "1", "--no-default-config"}, paths);
  REQUIRE(options);
  CHECK(options->dump.work_dir == ".");

  CHECK_FALSE(dump_of({"-t", "1", "--config", "/nonexistent/file"}));
  const std::string bad = written("bad", "\nimages-dri x\n");
  options = dump_of({"-t", "1", "--config", bad.c_str()});
  REQUIRE_FALSE(options);
  CHECK(options.error().message() == bad + ": line 2: unknown option images-dri");
  for (const auto& path : {named, user, system, bad}) unlink(path.c_str());
}
