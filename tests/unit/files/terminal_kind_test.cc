// The terminal of a job: opened in one process, restored in another.
#include <sys/ioctl.h>
#include <termios.h>

#include "engine/base/plan_report.h"
#include "engine/files/terminal.h"
#include "tests/unit/files/roundtrip.h"

namespace cryostat::files {
namespace {

// A pseudoterminal whose both sides this process holds.
struct Terminal {
  Terminal() : master(posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC)) {
    REQUIRE(unlockpt(master.get()) == 0);
    char text[64];
    REQUIRE(ptsname_r(master.get(), text, sizeof text) == 0);
    name = text;
    slave.reset(open(text, O_RDWR | O_NOCTTY | O_CLOEXEC));
  }
  UniqueFd master;
  UniqueFd slave;
  std::string name;
};

TEST_CASE("the terminal of a job becomes the one of the restore, with its settings") {
  const Terminal before, after;
  const Subject subject([&] {
    open(before.name.c_str(), O_RDWR | O_NOCTTY);                 // 3
    open(before.name.c_str(), O_WRONLY | O_NOCTTY | O_NONBLOCK);  // 4
    dup(3);                                                       // 5
    struct termios settings;
    tcgetattr(3, &settings);
    cfmakeraw(&settings);
    tcsetattr(3, TCSANOW, &settings);
    struct winsize size = {50, 132, 0, 0};
    ioctl(3, TIOCSWINSZ, &size);
  });
  const auto collected = collect(subject, {.shell_job = true});
  REQUIRE(collected.refusals.empty());
  REQUIRE(uses_job_terminal(collected.image));

  PlanReport plan;
  check_files(collected.image, {}, plan);
  CHECK_FALSE(plan.complete());
  plan = PlanReport();
  check_files(collected.image, {.shell_job = true, .terminal_fd = after.slave.get()}, plan);
  CHECK(plan.complete());

  RestoreInputs inputs;
  inputs.terminal_fd = after.slave.get();
  CHECK(restored(
            collected.image,
            [&]() -> std::string {
              EXPECT(link_of(3) == after.name && link_of(4) == after.name &&
                     link_of(5) == after.name);
              EXPECT((fcntl(3, F_GETFL) & (O_ACCMODE | O_NONBLOCK)) == O_RDWR);
              EXPECT((fcntl(4, F_GETFL) & (O_ACCMODE | O_NONBLOCK)) == (O_WRONLY | O_NONBLOCK));
              EXPECT(write(3, "hello", 5) == 5);
              return "";
            },
            inputs) == kNothingWrong);
  char text[6] = {};
  CHECK(read(after.master.get(), text, 5) == 5);
  CHECK(std::string(text) == "hello");

  CHECK(apply_terminal_settings(collected.image, after.slave.get()).value() ==
        WindowSize::kChanged);
  struct termios settings;
  REQUIRE(tcgetattr(after.slave.get(), &settings) == 0);
  CHECK((settings.c_lflag & (ICANON | ECHO)) == 0);
}

}  // namespace
}  // namespace cryostat::files
