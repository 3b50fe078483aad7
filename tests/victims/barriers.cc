// membarrier(2) works only for processes that registered: the registrations come back.
#include <linux/membarrier.h>
#include <sys/syscall.h>

#include "tests/victims/victim.h"

namespace {
constexpr int kGetRegistrations = 1 << 9;  // MEMBARRIER_CMD_GET_REGISTRATIONS, 6.3
long membarrier(int command) { return syscall(SYS_membarrier, command, 0, 0); }
}  // namespace

int main(int argc, char** argv) {
  victim::Victim self(argc, argv);
  if (membarrier(kGetRegistrations) < 0) self.skip("MEMBARRIER_CMD_GET_REGISTRATIONS (Linux 6.3)");
  self.must(membarrier(MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED) == 0, "register");
  self.must(membarrier(MEMBARRIER_CMD_REGISTER_GLOBAL_EXPEDITED) == 0, "register");
  const long registered = membarrier(kGetRegistrations);

  self.ready_and_wait();

  self.expect_equal("registrations", registered, membarrier(kGetRegistrations));
  self.expect(membarrier(MEMBARRIER_CMD_PRIVATE_EXPEDITED) == 0, "a barrier failed: errno %d",
              errno);
  return self.finish();
}
