// mlockall(MCL_FUTURE): areas mapped later are locked. Argument "onfault" adds MCL_ONFAULT.
#include <sys/mman.h>

#include "tests/victims/victim.h"

int main(int argc, char** argv) {
  victim::Victim self(argc, argv);
  const bool on_fault = argc > 2 && strcmp(argv[2], "onfault") == 0;
  self.must(mlockall(MCL_CURRENT | MCL_FUTURE | (on_fault ? MCL_ONFAULT : 0)) == 0, "mlockall");
  self.ready_and_wait();
  constexpr size_t kBytes = 64 << 10;
  void* area = mmap(nullptr, kBytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  unsigned char resident[16] = {};
  mincore(area, kBytes, resident);
  self.expect_equal("a new area is resident", on_fault ? 0 : 1, resident[3] & 1);
  FILE* smaps = fopen("/proc/self/smaps", "re");
  char line[256];
  bool here = false, flagged = false;
  while (fgets(line, sizeof(line), smaps) != nullptr) {
    unsigned long start = 0, end = 0;
    if (sscanf(line, "%lx-%lx ", &start, &end) == 2)
      here = reinterpret_cast<unsigned long>(area) >= start &&
             reinterpret_cast<unsigned long>(area) < end;
    if (here && strncmp(line, "VmFlags:", 8) == 0) flagged = strstr(line, " lo ") != nullptr;
  }
  fclose(smaps);
  self.expect(flagged, "a new area is not locked");
  return self.finish();
}
