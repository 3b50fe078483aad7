#include "engine/dump/precheck.h"

#include <sched.h>
#include <signal.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <unistd.h>

#include <functional>

#include "tests/support/catch.h"

using namespace cryostat;

namespace {

// A child that does something, says so and waits to be killed.
class Child {
 public:
  explicit Child(const std::function<void()>& body = [] {}) {
    int ends[2];
    REQUIRE(pipe(ends) == 0);
    pid_ = fork();
    if (pid_ == 0) {
      setpgid(0, 0);
      body();
      (void)!write(ends[1], "x", 1);
      close(ends[1]);
      for (;;) pause();
    }
    close(ends[1]);
    char ready = 0;
    REQUIRE(read(ends[0], &ready, 1) == 1);
    close(ends[0]);
  }
  ~Child() {
    kill(-pid_, SIGKILL);
    kill(pid_, SIGKILL);
    while (waitpid(pid_, nullptr, __WALL) > 0) {
    }
  }
  pid_t pid() const { return pid_; }

 private:
  pid_t pid_ = 0;
};

Result<void> ask(pid_t pid, Refusals& refusals) {
  const auto handle = TaskHandle::open(HostPid(pid));
  if (!handle) return tl::unexpected(handle.error());
  return dump::precheck(*handle, refusals);
}

}  // namespace

TEST_CASE("precheck: an ordinary child passes", "[root]") {
  if (geteuid() != 0) return;
  Child child;
  Refusals refusals;
  CHECK(ask(child.pid(), refusals));
  CHECK(refusals.lines().empty());
}

TEST_CASE("precheck: itself and its ancestors") {
  Refusals refusals;
  const auto itself = ask(getpid(), refusals);
  REQUIRE_FALSE(itself);
  CHECK(itself.error().kind() == ErrorKind::kRefused);
  CHECK(itself.error().message().find("cr-dump itself") != std::string::npos);
  if (getppid() > 1) {
    const auto parent = ask(getppid(), refusals);
    REQUIRE_FALSE(parent);
    CHECK(parent.error().message().find("ancestor") != std::string::npos);
  }
}

TEST_CASE("precheck: gone, zombie, traced") {
  Refusals refusals;
  CHECK(ask(0x3ffffff, refusals).error().kind() == ErrorKind::kTargetGone);

  const pid_t zombie = fork();
  if (zombie == 0) _exit(0);
  siginfo_t info;
  waitid(P_PID, static_cast<id_t>(zombie), &info, WEXITED | WNOWAIT);
  const auto result = ask(zombie, refusals);
  REQUIRE_FALSE(result);
  CHECK(result.error().kind() == ErrorKind::kTargetGone);
  CHECK(result.error().message().find("zombie") != std::string::npos);
  waitpid(zombie, nullptr, 0);

  Child child;
  REQUIRE(ptrace(PTRACE_SEIZE, child.pid(), 0, 0) == 0);
  const auto traced = ask(child.pid(), refusals);
  REQUIRE_FALSE(traced);
  CHECK(traced.error().kind() == ErrorKind::kRefused);
  CHECK(traced.error().message().find("is traced by pid " + std::to_string(getpid())) !=
        std::string::npos);
}

TEST_CASE("precheck: kernel threads") {
  const auto handle = TaskHandle::open(HostPid(2));
  if (!handle || handle->proc().read("comm").value_or("") != "kthreadd\n") return;
  Refusals refusals;
  const auto result = dump::precheck(*handle, refusals);
  REQUIRE_FALSE(result);
  CHECK(result.error().kind() == ErrorKind::kRefused);
}

TEST_CASE("precheck: namespaces are refused by name", "[root]") {
  if (geteuid() != 0) return;
  Child parent([] { unshare(CLONE_NEWUTS); });
  Refusals refusals;
  REQUIRE(ask(parent.pid(), refusals));
  REQUIRE(refusals.lines().size() == 1);
  CHECK(refusals.lines()[0].find("another UTS namespace") != std::string::npos);
}
