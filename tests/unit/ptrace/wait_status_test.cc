#include "engine/ptrace/wait_status.h"

#include <sys/ptrace.h>

#include <csignal>

#include "tests/support/catch.h"

namespace cryostat {

using Kind = WaitStatus::Kind;

TEST_CASE("ends") {
  const WaitStatus exited(7 << 8);
  CHECK(exited.is(Kind::kExited));
  CHECK(exited.exit_status() == 7);
  CHECK(exited.ended());
  const WaitStatus killed(SIGSEGV);
  CHECK(killed.is(Kind::kKilled));
  CHECK(killed.describe() == "was killed by SIGSEGV");
  CHECK(killed.ended());
}

TEST_CASE("stops") {
  const auto stop = [](int signal, int event) {
    return WaitStatus(0x7f | signal << 8 | event << 16);
  };
  CHECK(stop(SIGUSR1, 0).is(Kind::kSignalStop));
  CHECK(stop(SIGTRAP, 0).is(Kind::kSignalStop));
  CHECK(stop(SIGTRAP | 0x80, 0).is(Kind::kSyscallStop));
  CHECK(stop(SIGTRAP, PTRACE_EVENT_STOP).is(Kind::kInterrupted));
  CHECK(stop(SIGTSTP, PTRACE_EVENT_STOP).is(Kind::kGroupStop));
  CHECK(stop(SIGTSTP, PTRACE_EVENT_STOP).signal() == SIGTSTP);
  CHECK(stop(SIGTRAP, PTRACE_EVENT_EXEC).is(Kind::kEvent));
  CHECK(stop(SIGTRAP, PTRACE_EVENT_EXEC).event() == PTRACE_EVENT_EXEC);
  CHECK_FALSE(stop(SIGUSR1, 0).ended());
}

}  // namespace cryostat
