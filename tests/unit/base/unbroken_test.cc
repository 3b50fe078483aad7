#include "engine/base/unbroken.h"

#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <new>

#include "tests/support/catch.h"

namespace cryostat {
namespace {

TEST_CASE("work is done to its end when its process is killed meanwhile") {
  struct Shared {
    std::atomic<bool> begun, parent_gone, done;
  };
  void* const memory =
      mmap(nullptr, sizeof(Shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  REQUIRE(memory != MAP_FAILED);
  auto& shared = *new (memory) Shared{};
  const pid_t pid = fork();
  if (pid == 0) {
    run_unbroken([&] {
      shared.begun = true;
      while (!shared.parent_gone) usleep(100);
      shared.done = true;
    });
    _exit(0);
  }
  while (!shared.begun) usleep(100);
  REQUIRE(kill(pid, SIGKILL) == 0);
  int status = 0;
  REQUIRE(waitpid(pid, &status, 0) == pid);
  CHECK((WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL));
  CHECK_FALSE(shared.done);
  shared.parent_gone = true;
  while (!shared.done) usleep(100);
  munmap(memory, sizeof(Shared));
}

TEST_CASE("work shares memory and descriptors, and leaves no child behind") {
  int fd = -1;
  run_unbroken([&] { fd = dup(0); });
  REQUIRE(fd >= 0);
  CHECK(close(fd) == 0);
  CHECK(waitpid(-1, nullptr, __WALL | WNOHANG) == -1);
}

}  // namespace
}  // namespace cryostat
