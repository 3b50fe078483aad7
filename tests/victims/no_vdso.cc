// A process without a vDSO: it has unmapped its own, with the kernel's data (vdso(7)). From then on
// it makes system calls alone; the C library would jump to where the vDSO was to ask for the time.
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/syscall.h>

#include <atomic>
#include <cinttypes>
#include <thread>

#include "tests/victims/victim.h"

namespace {

// Kernel mappings of this process by name, as lines of /proc/self/maps.
template <typename Visit>
void for_each_kernel_mapping(const Visit& visit) {
  FILE* maps = fopen("/proc/self/maps", "re");
  if (maps == nullptr) return;
  char line[512];
  while (fgets(line, sizeof line, maps) != nullptr) {
    uint64_t start = 0;
    uint64_t end = 0;
    const bool kernels = strstr(line, "[vdso]") != nullptr || strstr(line, "[vvar") != nullptr;
    if (kernels && sscanf(line, "%" SCNx64 "-%" SCNx64, &start, &end) == 2) visit(start, end);
  }
  fclose(maps);
}

}  // namespace

int main(int argc, char** argv) {
  victim::Victim self(argc, argv);
  std::atomic<bool> go = false;
  std::atomic<int> sum = 0;
  std::thread other;
  if (argc > 2)
    other = std::thread([&] {
      while (!go) victim::Victim::pause_ms(2);
      ++sum;
    });
  uint64_t areas[8][2];
  size_t count = 0;
  for_each_kernel_mapping([&](uint64_t start, uint64_t end) {
    if (count == 8) return;
    areas[count][0] = start;
    areas[count++][1] = end;
  });
  self.must(count > 0, "a vDSO to unmap");
  for (size_t i = 0; i < count; ++i)
    self.must(munmap(reinterpret_cast<void*>(areas[i][0]), areas[i][1] - areas[i][0]) == 0,
              "munmap");
  self.ready_and_wait();
  for_each_kernel_mapping([&](uint64_t start, uint64_t end) {
    self.expect(false, "there is a vDSO or its data at %lx-%lx", start, end);
  });
  timespec now{};
  self.expect(syscall(SYS_clock_gettime, CLOCK_MONOTONIC, &now) == 0 && now.tv_sec > 0, "time");
  go = true;
  if (other.joinable()) {
    other.join();
    self.expect(sum == 1, "the other thread");
  }
  return self.finish();
}
