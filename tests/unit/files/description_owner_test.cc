// Owner and signal of a description: set in one process, restored in another.
#include "tests/unit/files/roundtrip.h"

namespace cryostat::files {
namespace {

TEST_CASE("owner and signal of a description come back") {
  const Subject subject([] {
    int fds[2];
    (void)!pipe(fds);  // 3, 4
    fcntl(3, F_SETOWN, getpid());
    fcntl(3, F_SETSIG, SIGRTMIN + 3);
    fcntl(3, F_SETFL, O_ASYNC | O_NONBLOCK);
  });
  auto collected = collect(subject);
  REQUIRE(collected.refusals.empty());
  auto& description = collected.image.descriptions[3];  // of descriptor 3
  REQUIRE(description.owner_pid() == subject.pid().value);
  CHECK(description.owner_type() == F_OWNER_PID);
  // As the restored process would have the pid of the first one.
  description.set_owner_pid(getpid());
  description.set_owner_uid(1234);
  description.set_owner_euid(4321);
  CHECK(restored(collected.image, []() -> std::string {
          uid_t uids[2] = {};
          struct f_owner_ex owner = {};
          EXPECT(fcntl(3, F_GETOWN_EX, &owner) == 0);
          EXPECT(owner.pid == getppid());
          EXPECT(fcntl(3, F_GETSIG) == SIGRTMIN + 3);
          EXPECT((fcntl(3, F_GETFL) & (O_ASYNC | O_NONBLOCK)) == (O_ASYNC | O_NONBLOCK));
          EXPECT(fcntl(3, 17 /* F_GETOWNER_UIDS */, uids) == 0);
          EXPECT(uids[0] == 1234 && uids[1] == 4321);
          EXPECT(getuid() == 0 && geteuid() == 0);
          return "";
        }) == kNothingWrong);
}

}  // namespace
}  // namespace cryostat::files
