#include "engine/procfs/task_handle.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>

#include "tests/support/catch.h"

using namespace cryostat;

namespace {
// A child that waits to be killed.
class Child {
 public:
  Child() : pid_(fork()) {
    if (pid_ == 0) {
      for (;;) pause();
    }
  }
  ~Child() { end(); }
  HostPid pid() const { return HostPid(pid_); }
  void end() {
    if (pid_ <= 0) return;
    kill(pid_, SIGKILL);
    waitpid(pid_, nullptr, 0);
    pid_ = 0;
  }

 private:
  pid_t pid_;
};
}  // namespace

TEST_CASE("task handle: holds a process and notices its end") {
  Child child;
  const auto handle = TaskHandle::open(child.pid());
  REQUIRE(handle);
  CHECK(handle->pid() == child.pid());
  CHECK(handle->start_time_ticks() > 0);
  CHECK(handle->proc().read("maps")->find("[stack]") != std::string::npos);
  CHECK(*handle->proc().read_link("exe") == *ProcDir::open("/proc/self")->read_link("exe"));
  const auto threads = handle->proc().list_numbers("task");
  REQUIRE(threads);
  CHECK(*threads == std::vector<int>{child.pid().value});
  CHECK(handle->proc().thread(Tid(child.pid().value)));
  child.end();
  for (const auto& result : {handle->proc().read("maps"), handle->proc().read("nothing")}) {
    REQUIRE_FALSE(result);
    CHECK(result.error().kind() == ErrorKind::kTargetGone);
  }
}

TEST_CASE("task handle: what is not there") {
  const auto gone = TaskHandle::open(HostPid(0x3ffffff));
  REQUIRE_FALSE(gone);
  CHECK(gone.error().kind() == ErrorKind::kTargetGone);
  CHECK(TaskHandle::open(HostPid(0)).error().kind() == ErrorKind::kUsage);
  const auto self = TaskHandle::open(HostPid(getpid()));
  REQUIRE(self);
  const auto missing = self->proc().read("nothing");
  REQUIRE_FALSE(missing);
  CHECK(missing.error().kind() == ErrorKind::kFailed);
  CHECK(missing.error().errno_value() == ENOENT);
  CHECK_FALSE(self->proc().thread(Tid(0x3ffffff)));
}

TEST_CASE("task handle: a long file is read whole, a descriptor copied") {
  const auto self = TaskHandle::open(HostPid(getpid()));
  REQUIRE(self);
  CHECK(self->proc().read("smaps")->find("[vdso]") != std::string::npos);
  const int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
  const auto copy = self->get_fd(RemoteFd(fd));
  REQUIRE(copy);
  CHECK(copy->get() != fd);
  CHECK((fcntl(copy->get(), F_GETFD) & FD_CLOEXEC) != 0);
  const auto numbers = self->proc().list_numbers("fd");
  REQUIRE(numbers);
  CHECK(std::binary_search(numbers->begin(), numbers->end(), fd));
  close(fd);
  CHECK_FALSE(self->get_fd(RemoteFd(fd)));
}
