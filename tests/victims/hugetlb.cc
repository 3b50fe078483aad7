// Memory of hugetlb pages: private, shared, and a memfd of them.
#include <sys/mman.h>

#include "tests/victims/victim.h"

int main(int argc, char** argv) {
  victim::Victim self(argc, argv);
  constexpr size_t kHuge = 2 << 20;
  auto map = [&](int flags, int fd) -> unsigned char* {
    void* area = mmap(nullptr, kHuge, PROT_READ | PROT_WRITE, flags, fd, 0);
    if (area == MAP_FAILED) self.skip("no free hugetlb pages (vm.nr_hugepages)");
    return static_cast<unsigned char*>(area);
  };
  auto* plain = map(MAP_PRIVATE | MAP_ANONYMOUS | MAP_HUGETLB, -1);
  auto* shared = map(MAP_SHARED | MAP_ANONYMOUS | MAP_HUGETLB, -1);
  const int fd = memfd_create("huge", MFD_CLOEXEC | MFD_HUGETLB);
  if (fd < 0 || ftruncate(fd, kHuge) != 0) self.skip("memfd_create with MFD_HUGETLB");
  auto* memfd = map(MAP_SHARED, fd);
  victim::Pattern::fill(plain, kHuge, 1);
  victim::Pattern::fill(shared, kHuge, 2);
  victim::Pattern::fill(memfd, kHuge, 3);
  self.ready_and_wait();
  self.expect(victim::Pattern::matches(plain, kHuge, 1), "private");
  self.expect(victim::Pattern::matches(shared, kHuge, 2), "shared");
  self.expect(victim::Pattern::matches(memfd, kHuge, 3), "memfd");
  return self.finish();
}
