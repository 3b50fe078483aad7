// Under PR_SET_MDWE (no memory becomes executable that could be written, 6.3) a task is dumped all
// the same, and comes back under it.
#include <sys/mman.h>
#include <sys/prctl.h>

#include "tests/victims/victim.h"

namespace {
constexpr int kSetMdwe = 65, kGetMdwe = 66;
}

int main(int argc, char** argv) {
  victim::Victim self(argc, argv);
  if (prctl(kSetMdwe, 1, 0, 0, 0) != 0) self.skip("PR_SET_MDWE");
  void* memory = mmap(nullptr, 1 << 16, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  self.must(memory != MAP_FAILED, "mmap");
  victim::Pattern::fill(memory, 1 << 16, 7);
  // Beside which the parasite's own executable mapping may come to lie.
  void* code = mmap(nullptr, 1 << 16, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  self.must(code != MAP_FAILED, "mmap executable");

  self.ready_and_wait();

  self.expect_equal("PR_GET_MDWE", 1, prctl(kGetMdwe, 0, 0, 0, 0));
  self.expect(victim::Pattern::matches(memory, 1 << 16, 7), "memory changed");
  self.expect(victim::all_zero(code, 1 << 16), "executable memory changed");
  self.expect(mprotect(memory, 1 << 16, PROT_READ | PROT_EXEC) != 0 && errno == EACCES,
              "memory became executable");
  return self.finish();
}
