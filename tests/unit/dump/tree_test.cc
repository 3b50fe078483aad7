// Finding and freezing the tasks of a tree.
#include "engine/dump/tree.h"

#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <set>

#include "tests/support/catch.h"
#include "tests/support/child.h"

using cryostat::testing::Child;

namespace cryostat::dump {
namespace {

std::set<pid_t> pids_of(const Tree& tree) {
  std::set<pid_t> pids;
  for (const auto& task : tree.live()) pids.insert(task->pid().value);
  return pids;
}

TEST_CASE("every task below the root is frozen, also those that came since the look before") {
  Child root([](auto& words) -> int {
    signal(SIGUSR1, [](int) {
      if (fork() == 0)
        for (;;) pause();
    });
    if (fork() == 0) {
      if (fork() == 0)
        for (;;) pause();
      if (fork() == 0) _exit(7);  // stays a zombie
      for (;;) pause();
    }
    words.word[0] = 1;
    for (;;) pause();
  });
  REQUIRE(root.await(0, 1));
  auto tree = Tree::open(HostPid(root.pid())).value();
  REQUIRE(tree.prepare().has_value());
  kill(root.pid(), SIGUSR1);
  Refusals refusals;
  const StopRequest stop;
  for (int i = 0; i < 1000; ++i) {
    auto look = Tree::open(HostPid(root.pid())).value();
    const auto frozen = look.freeze(Deadline::in(std::chrono::seconds(5)), stop, nullptr, refusals);
    if (!frozen) FAIL(frozen.error().message());
    if (look.live().size() == 4 && look.zombies().size() == 1) break;
    usleep(1000);
  }
  REQUIRE(tree.freeze(Deadline::in(std::chrono::seconds(5)), stop, nullptr, refusals).has_value());
  CHECK(pids_of(tree).size() == 4);
  CHECK(pids_of(tree).contains(root.pid()));
  REQUIRE(tree.zombies().size() == 1);
  const int status = static_cast<int>(tree.zombies().front().zombie().wait_status());
  CHECK(WIFEXITED(status));
  CHECK(WEXITSTATUS(status) == 7);
  for (const auto& task : tree.live())
    if (task->pid().value != root.pid()) kill(task->pid().value, SIGKILL);
}

}  // namespace
}  // namespace cryostat::dump
