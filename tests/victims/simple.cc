// The smallest one: one thread, a counter, a buffer.
#include <cstdint>

#include "tests/victims/victim.h"

static uint64_t buffer[4096];

int main(int argc, char** argv) {
  victim::Victim self(argc, argv);
  victim::Pattern::fill(buffer, sizeof(buffer), 1);
  const pid_t pid = getpid();
  uint64_t rounds = 0, kept = 0;
  self.ready_and_wait([&] { kept = ++rounds; });
  self.expect(victim::Pattern::matches(buffer, sizeof(buffer), 1), "buffer changed");
  self.expect_equal("rounds", static_cast<long long>(rounds), static_cast<long long>(kept));
  self.expect_equal("pid", pid, getpid());
  return self.finish();
}
