#include "engine/cli/supervise.h"

#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <functional>

#include "tests/support/catch.h"

using namespace cryostat;

namespace {

// Supervises, in a process of its own, a job that runs `job`; `meanwhile` gets the supervisor's
// pid.
int supervised(const std::function<int()>& job, const std::function<void(pid_t)>& meanwhile) {
  int ends[2];
  REQUIRE(pipe2(ends, O_CLOEXEC) == 0);
  const pid_t supervisor_pid = fork();
  if (supervisor_pid == 0) {
    // A signal that comes before the supervisor listens stays pending until it does.
    sigset_t early;
    sigemptyset(&early);
    sigaddset(&early, SIGTERM);
    sigprocmask(SIG_BLOCK, &early, nullptr);
    const pid_t job_pid = fork();
    if (job_pid == 0) {
      sigprocmask(SIG_UNBLOCK, &early, nullptr);
      setpgid(0, 0);
      _exit(write(ends[1], "r", 1) == 1 ? job() : 1);
    }
    setpgid(job_pid, job_pid);
    cli::Supervisor supervisor(true);
    supervisor.hand_over(job_pid);
    _exit(supervisor.wait(StopRequest()));
  }
  char byte = 0;
  CHECK(read(ends[0], &byte, 1) == 1);
  close(ends[0]);
  close(ends[1]);
  meanwhile(supervisor_pid);
  int status = 0;
  waitpid(supervisor_pid, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

}  // namespace

TEST_CASE("the supervisor ends as the job ends") {
  CHECK(supervised([] { return 7; }, [](pid_t) {}) == 7);
  CHECK(supervised([] { return kill(getpid(), SIGKILL); }, [](pid_t) {}) == 128 + SIGKILL);
}

TEST_CASE("a signal sent to the supervisor goes to the job") {
  const auto pause_for_ever = [] {
    for (;;) pause();
    return 0;
  };
  const auto terminate = [](pid_t pid) { kill(pid, SIGTERM); };
  CHECK(supervised(pause_for_ever, terminate) == 128 + SIGTERM);
}
