// The engine is killed at random moments; the target must not notice.
#include <sys/wait.h>

#include <random>

#include "engine/infect/infected_task.h"
#include "engine/procfs/task_handle.h"
#include "engine/ptrace/seized_task.h"
#include "tests/support/catch.h"
#include "tests/support/child.h"
#include "tests/unit/infect/watch_registers.h"

namespace cryostat {
namespace {

using testing::Child;
using testing::SharedWords;
using testing::watch_registers;

// Freezes, infects and goes on calling until it is killed.
int act_as_engine(pid_t target, bool with_channel) {
  const StopRequest stop;
  const auto task = TaskHandle::open(HostPid(target));
  auto seized = SeizedTask::freeze(*task, Deadline::in(std::chrono::seconds(5)), stop);
  if (!seized.has_value()) return 1;
  auto infected = InfectedTask::inject(*seized, Deadline::in(std::chrono::seconds(5)), stop);
  if (!infected.has_value()) return 2;
  if (with_channel && !infected->send_fd(STDOUT_FILENO).has_value()) return 3;
  while (infected->ping().has_value()) {
  }
  return 4;
}

std::string line_of(const std::string& text, const std::string& key) {
  const size_t start = text.find(key);
  return text.substr(start, text.find('\n', start) - start);
}

void kill_engines(bool with_channel) {
  Child target(watch_registers);
  REQUIRE(target.await(0, 1));
  const auto descriptors = target.descriptors();
  const std::string blocked = line_of(target.read("status"), "SigBlk:");
  std::minstd_rand random(static_cast<unsigned>(target.pid()));
  for (int round = 0; round < 60; ++round) {
    {
      Child engine([&](SharedWords&) { return act_as_engine(target.pid(), with_channel); });
      usleep(static_cast<useconds_t>(300 + random() % 4000));
    }  // SIGKILL
    REQUIRE(target.await(0, target.word(0) + 2));
  }
  CHECK(target.word(1) == 0);
  CHECK(target.descriptors() == descriptors);
  CHECK(line_of(target.read("status"), "SigBlk:") == blocked);
}

}  // namespace

TEST_CASE("the engine is killed while the parasite serves") { kill_engines(false); }
TEST_CASE("the engine is killed while it holds descriptors in the target") { kill_engines(true); }

TEST_CASE("nothing is left when the engine is killed between two calls") {
  Child target(watch_registers);
  REQUIRE(target.await(0, 1));
  const std::string maps = target.read("maps");
  {
    Child engine([&](SharedWords& words) {
      const StopRequest stop;
      const auto task = TaskHandle::open(HostPid(target.pid()));
      auto seized = SeizedTask::freeze(*task, Deadline::in(std::chrono::seconds(5)), stop);
      auto infected = InfectedTask::inject(*seized, Deadline::in(std::chrono::seconds(5)), stop);
      words.word[0] = infected.has_value() && infected->send_fd(1).has_value() ? 1 : 2;
      for (;;) pause();
      return 0;
    });
    REQUIRE(engine.await(0, 1));
    CHECK(engine.word(0) == 1);
    CHECK(target.read("maps") != maps);
  }
  REQUIRE(target.await(0, target.word(0) + 2));
  CHECK(target.read("maps") == maps);
  CHECK(target.word(1) == 0);
}

}  // namespace cryostat
