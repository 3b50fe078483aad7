#include "engine/cli/worker.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <string>

#include "engine/base/unique_fd.h"
#include "tests/support/catch.h"

using namespace cryostat;

namespace {

constexpr int kPatienceMs = 10'000;

// A front in a process of its own, whose worker writes what stopped it into a pipe.
class Front {
 public:
  Front() {
    int ends[2];
    REQUIRE(pipe2(ends, O_CLOEXEC) == 0);
    read_end_.reset(ends[0]);
    UniqueFd write_end(ends[1]);
    pid_ = fork();
    if (pid_ == 0) {
      const int fd = write_end.get();
      _exit(cli::run_in_worker("test", [fd](const StopRequest& stop) { return work(stop, fd); }));
    }
  }
  ~Front() {
    kill(pid_, SIGKILL);
    waitpid(pid_, nullptr, WNOHANG);
  }

  // The next character the worker wrote; 0 at its end, -1 when it wrote nothing for long.
  int next() {
    pollfd poll_fd{read_end_.get(), POLLIN, 0};
    if (poll(&poll_fd, 1, kPatienceMs) != 1) return -1;
    char byte = 0;
    return read(read_end_.get(), &byte, 1) == 1 ? byte : 0;
  }
  void signal(int number) { kill(pid_, number); }
  int status() {
    int status = 0;
    waitpid(pid_, &status, 0);
    return status;
  }

 private:
  static int work(const StopRequest& stop, int fd) {
    char byte = 'r';
    if (write(fd, &byte, 1) != 1) return 9;
    for (int i = 0; i < kPatienceMs && !stop.requested(); ++i) usleep(1000);
    byte = stop.signal_number() == -1 ? 'g' : static_cast<char>('0' + stop.signal_number());
    if (write(fd, &byte, 1) != 1) return 9;
    return 5;
  }

  UniqueFd read_end_;
  pid_t pid_ = 0;
};

}  // namespace

TEST_CASE("the front relays the worker's exit code") {
  const pid_t pid = fork();
  if (pid == 0) _exit(cli::run_in_worker("test", [](const StopRequest&) { return 42; }));
  int status = 0;
  REQUIRE(waitpid(pid, &status, 0) == pid);
  CHECK(WEXITSTATUS(status) == 42);
}

TEST_CASE("a signal to the front stops the worker, by its own number") {
  for (const int number : {SIGHUP, SIGINT, SIGQUIT, SIGTERM}) {
    Front front;
    REQUIRE(front.next() == 'r');
    front.signal(number);
    CHECK(front.next() == '0' + number);
    CHECK(WEXITSTATUS(front.status()) == 5);
  }
}

TEST_CASE("a front killed outright stops the worker") {
  // The orphaned worker becomes our child, so that it leaves nothing behind.
  prctl(PR_SET_CHILD_SUBREAPER, 1);
  Front front;
  REQUIRE(front.next() == 'r');
  front.signal(SIGKILL);
  CHECK(front.next() == 'g');
  CHECK(front.next() == 0);
  CHECK(WTERMSIG(front.status()) == SIGKILL);
  int status = 0;
  CHECK(waitpid(-1, &status, 0) > 0);
  CHECK(WEXITSTATUS(status) == 5);
  prctl(PR_SET_CHILD_SUBREAPER, 0);
}
