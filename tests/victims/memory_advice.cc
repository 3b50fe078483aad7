// Advice and state of mappings: the madvise flags, locked and locked-on-fault areas, guard pages,
// huge-page advice. The test compares VmFlags from outside; here is checked what can be felt.
#include <setjmp.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include "tests/victims/victim.h"

#ifndef MADV_GUARD_INSTALL
#define MADV_GUARD_INSTALL 102
#endif
#ifndef MADV_POPULATE_READ
#define MADV_POPULATE_READ 22
#endif

namespace {

constexpr size_t kPage = 4096;
constexpr size_t kBytes = 16 * kPage;

sigjmp_buf back;
void on_fault(int) { siglongjmp(back, 1); }

bool faults(volatile unsigned char* byte) {
  if (sigsetjmp(back, 1) != 0) return true;
  (void)*byte;
  return false;
}

unsigned char* area(victim::Victim& self, size_t bytes = kBytes) {
  void* memory = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  self.must(memory != MAP_FAILED, "mmap");
  memset(memory, 7, kPage);
  return static_cast<unsigned char*>(memory);
}

}  // namespace

int main(int argc, char** argv) {
  victim::Victim self(argc, argv);
  signal(SIGSEGV, on_fault);
  // Areas of different protection apart, so that the kernel does not merge them.
  const int advice[] = {MADV_DONTFORK,   MADV_DONTDUMP,   MADV_WIPEONFORK, MADV_HUGEPAGE,
                        MADV_NOHUGEPAGE, MADV_SEQUENTIAL, MADV_RANDOM,     MADV_MERGEABLE};
  unsigned char* advised[std::size(advice)];
  for (size_t i = 0; i < std::size(advice); ++i) {
    advised[i] = area(self, 4 << 20);
    // Kernels may be built without THP or KSM.
    if (madvise(advised[i], 4 << 20, advice[i]) != 0 && errno != EINVAL)
      self.must(false, "madvise");
  }
  auto* locked = area(self);
  self.must(mlock(locked, kBytes) == 0, "mlock");
  auto* on_fault_area = area(self);
  self.must(mlock2(on_fault_area, kBytes, MLOCK_ONFAULT) == 0, "mlock2");

  auto* guarded = area(self);
  memset(guarded, 9, kBytes);
  const bool has_guard = madvise(guarded + 4 * kPage, 2 * kPage, MADV_GUARD_INSTALL) == 0;
  if (has_guard) self.must(faults(guarded + 4 * kPage), "guard page that does not fault");

  auto* no_access = static_cast<unsigned char*>(
      mmap(nullptr, kBytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));

  self.ready_and_wait();

  for (auto* memory : advised)
    self.expect(memory[0] == 7 && memory[kPage - 1] == 7, "content of an advised area");
  unsigned char resident[16] = {};
  mincore(locked, kBytes, resident);
  for (size_t page = 0; page < 16; ++page)
    self.expect((resident[page] & 1) != 0, "locked page %zu is not resident", page);
  mincore(on_fault_area, kBytes, resident);
  self.expect((resident[5] & 1) == 0, "an untouched page of the on-fault area became resident");
  if (has_guard) {
    self.expect(faults(guarded + 4 * kPage) && faults(guarded + 5 * kPage), "guard pages are gone");
    self.expect(guarded[3 * kPage] == 9 && guarded[6 * kPage] == 9,
                "pages beside the guards changed");
  }
  self.expect(faults(no_access), "PROT_NONE area can be read");
  const pid_t child = fork();
  if (child == 0) {
    // Not inherited, and inherited as zeros.
    const bool good = faults(advised[0]) && advised[2][0] == 0 && advised[1][0] == 7;
    _exit(good ? 0 : 1);
  }
  int status = -1;
  waitpid(child, &status, 0);
  self.expect(status == 0, "DONTFORK or WIPEONFORK does not act");
  return self.finish();
}
