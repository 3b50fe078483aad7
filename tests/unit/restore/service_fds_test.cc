#include "engine/base/service_fds.h"

#include <fcntl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/support/catch.h"

using namespace cryostat;

namespace {

bool is_open(int fd) { return fcntl(fd, F_GETFD) >= 0; }

// In a child, because descriptors are closed; the child's answer is its exit status.
template <typename Function>
bool in_child(Function function) {
  const pid_t pid = fork();
  if (pid == 0) _exit(function() ? 0 : 1);
  int status = 0;
  waitpid(pid, &status, 0);
  return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

}  // namespace

TEST_CASE("service numbers lie just above the target's and are close-on-exec") {
  CHECK(in_child([] {
    auto fds = ServiceFds::create({0, 1, 2, 40, 7});
    if (!fds.has_value()) return false;
    const auto first = fds->adopt(UniqueFd(open("/dev/null", O_RDONLY)));
    const auto second = fds->adopt_copy(0);
    return first.has_value() && *first == 41 && second.has_value() && *second == 42 &&
           (fcntl(41, F_GETFD) & FD_CLOEXEC) != 0 && fds->is_service(41) && fds->is_target(40) &&
           !fds->is_service(40);
  }));
}

TEST_CASE("only service descriptors survive close_all_but_service") {
  CHECK(in_child([] {
    auto fds = ServiceFds::create({0, 1, 2, 5});
    const int service = *fds->adopt_copy(0);
    const bool closed = fds->close_all_but_service().has_value();
    return closed && is_open(service) && !is_open(0) && !is_open(1) && !is_open(2);
  }));
}

TEST_CASE("close_others spares target numbers") {
  CHECK(in_child([] {
    auto fds = ServiceFds::create({0, 5});
    const int service = *fds->adopt_copy(0);
    dup2(0, 5);
    dup2(0, 4);
    const bool closed = fds->close_others().has_value();
    return closed && is_open(service) && is_open(0) && is_open(5) && !is_open(4) && !is_open(1);
  }));
}

TEST_CASE("numbers below are taken when the limit leaves none above") {
  CHECK(in_child([] {
    const rlimit limit{64, 64};
    setrlimit(RLIMIT_NOFILE, &limit);
    auto fds = ServiceFds::create({0, 1, 2, 63});
    const auto number = fds->adopt_copy(0);
    return number.has_value() && *number == 62;
  }));
}

TEST_CASE("a target number that can't be had is named") {
  CHECK(in_child([] {
    const rlimit limit{64, 64};
    setrlimit(RLIMIT_NOFILE, &limit);
    const auto fds = ServiceFds::create({0, 64});
    return !fds.has_value() && fds.error().kind() == ErrorKind::kMachine &&
           fds.error().message().find("64") != std::string::npos;
  }));
}

TEST_CASE("dropping closes and forgets") {
  CHECK(in_child([] {
    auto fds = ServiceFds::create({0});
    const int number = *fds->adopt_copy(0);
    fds->drop(number);
    return !is_open(number) && fds->numbers().empty() && *fds->adopt_copy(1) == number;
  }));
}
