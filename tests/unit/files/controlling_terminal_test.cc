#include "engine/files/controlling_terminal.h"

#include <fcntl.h>
#include <sys/ioctl.h>

#include "engine/files/pty_pair.h"
#include "tests/unit/files/roundtrip.h"

namespace cryostat::files {
namespace {

// A session leader with its own pseudoterminal, whose foreground is another process group.
void lead_session() {
  setsid();
  posix_openpt(O_RDWR | O_NOCTTY);  // 3
  unlockpt(3);
  char name[64];
  ptsname_r(3, name, sizeof name);
  open(name, O_RDWR | O_NOCTTY);  // 4
  ioctl(4, TIOCSCTTY, 0);
}

TEST_CASE("the terminal of a session is saved with it and taken again by its leader") {
  image::FilesImage image;
  int32_t session = 0;
  {
    const Subject subject(lead_session);
    session = subject.pid().value;
    auto collected = collect(subject);
    REQUIRE(collected.refusals.lines().empty());
    image = std::move(collected.image);
  }
  auto made = create_controlling_ptys(image);
  REQUIRE(made.has_value());
  REQUIRE(made->size() == 1);
  CHECK(made->front().session == session);
  CHECK(made->front().foreground_group == session);
  const int master = made->front().master.get();
  const pid_t leader = fork();
  if (leader == 0) {
    setsid();
    if (!take_controlling_terminal(master)) _exit(1);
    int owner = 0;
    if (ioctl(master, TIOCGSID, &owner) != 0 || owner != getpid()) _exit(2);
    sigset_t all;
    sigfillset(&all);
    sigprocmask(SIG_SETMASK, &all, nullptr);
    const pid_t member = fork();
    if (member == 0) {
      setpgid(0, 0);
      if (!give_up_terminal()) _exit(3);
      _exit(open("/dev/tty", O_RDWR) < 0 && errno == ENXIO ? 0 : 4);
    }
    setpgid(member, member);
    if (!set_foreground_group(member)) _exit(5);
    int group = 0;
    if (ioctl(master, TIOCGPGRP, &group) != 0 || group != member) _exit(6);
    int status = 0;
    if (waitpid(member, &status, 0) != member) _exit(7);
    _exit(WEXITSTATUS(status));
  }
  int status = 0;
  REQUIRE(waitpid(leader, &status, 0) == leader);
  CHECK(status == 0);
}

TEST_CASE("a pseudoterminal whose number is taken is refused") {
  const UniqueFd first(posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC));
  unsigned index = 0;
  REQUIRE(ioctl(first.get(), TIOCGPTN, &index) == 0);
  const auto second = create_master("/dev/ptmx", index);
  REQUIRE_FALSE(second.has_value());
  CHECK(second.error().kind() == ErrorKind::kMachine);
  CHECK(create_master("/dev/ptmx", index + 2).has_value());
}

}  // namespace
}  // namespace cryostat::files
