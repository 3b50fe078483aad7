// Every ordinary kind of memory with content: private anonymous, copied-on-write file pages, shared
// file, anonymous shared, memfd, /dev/shm, brk heap, stack that grows down, PROT_NONE with content,
// read-only, zero pages.
#include <sys/mman.h>

#include <vector>

#include "tests/victims/victim.h"

namespace {

constexpr size_t kPage = 4096;
constexpr size_t kPages = 16;
constexpr size_t kBytes = kPages * kPage;

unsigned char* map(victim::Victim& self, size_t bytes, int protection, int flags, int fd = -1,
                   off_t offset = 0) {
  void* area = mmap(nullptr, bytes, protection, flags, fd, offset);
  self.must(area != MAP_FAILED, "mmap");
  return static_cast<unsigned char*>(area);
}

int data_file(victim::Victim& self, const char* name) {
  const int fd = open(self.path(name).c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644);
  self.must(fd >= 0, "open");
  std::vector<uint64_t> content(kBytes / 8);
  victim::Pattern::fill(content.data(), kBytes, 90);
  self.must(write(fd, content.data(), kBytes) == static_cast<ssize_t>(kBytes), "write");
  return fd;
}

// A private area with pages 0, 2, 4 … written; the others never touched.
void fill_even(unsigned char* area, uint64_t seed) {
  for (size_t page = 0; page < kPages; page += 2)
    victim::Pattern::fill(area + page * kPage, kPage, seed + page);
}
bool even_is_good(const unsigned char* area, uint64_t seed) {
  for (size_t page = 0; page < kPages; page += 2)
    if (!victim::Pattern::matches(area + page * kPage, kPage, seed + page)) return false;
  return true;
}
bool odd_is_zero(const unsigned char* area) {
  for (size_t page = 1; page < kPages; page += 2)
    if (!victim::all_zero(area + page * kPage, kPage)) return false;
  return true;
}

}  // namespace

int main(int argc, char** argv) {
  victim::Victim self(argc, argv);
  constexpr int kReadWrite = PROT_READ | PROT_WRITE;

  auto* anonymous = map(self, kBytes, kReadWrite, MAP_PRIVATE | MAP_ANONYMOUS);
  fill_even(anonymous, 10);

  const int file = data_file(self, "mapped");
  auto* copied = map(self, kBytes, kReadWrite, MAP_PRIVATE, file);
  fill_even(copied, 20);
  auto* shared_file = map(self, kBytes, kReadWrite, MAP_SHARED, file, 0);
  shared_file[kPage * 3] = 77;
  auto* offset_map = map(self, kPage * 2, PROT_READ, MAP_SHARED, file, kPage * 4);
  // A private page of a file made zero: not the same as a page never written.
  memset(copied + 5 * kPage, 0, kPage);

  auto* shared = map(self, kBytes, kReadWrite, MAP_SHARED | MAP_ANONYMOUS);
  fill_even(shared, 30);
  auto* shared_twin = static_cast<unsigned char*>(mremap(shared, 0, kBytes, MREMAP_MAYMOVE));
  self.must(shared_twin != MAP_FAILED, "mremap");

  const int memfd = memfd_create("victim", MFD_CLOEXEC);
  self.must(memfd >= 0 && ftruncate(memfd, kBytes) == 0, "memfd");
  auto* memfd_shared = map(self, kBytes, kReadWrite, MAP_SHARED, memfd);
  auto* memfd_private = map(self, kBytes, kReadWrite, MAP_PRIVATE, memfd);
  fill_even(memfd_shared, 40);
  victim::Pattern::fill(memfd_private + 2 * kPage, kPage, 41);

  const std::string shm_name = "/dev/shm/cryostat-victim-" + std::to_string(getpid());
  const int shm = open(shm_name.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  self.must(shm >= 0 && ftruncate(shm, kBytes) == 0, "/dev/shm");
  auto* shm_area = map(self, kBytes, kReadWrite, MAP_SHARED, shm);
  fill_even(shm_area, 50);

  void* heap_before = sbrk(0);
  auto* heap = static_cast<unsigned char*>(sbrk(kBytes));
  self.must(heap != reinterpret_cast<void*>(-1), "sbrk");
  victim::Pattern::fill(heap, kBytes, 60);

  auto* unreadable = map(self, kBytes, kReadWrite, MAP_PRIVATE | MAP_ANONYMOUS);
  fill_even(unreadable, 70);
  mprotect(unreadable, kBytes, PROT_NONE);
  auto* reserved =
      map(self, size_t{1} << 30, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE);

  auto* read_only = map(self, kBytes, kReadWrite, MAP_PRIVATE | MAP_ANONYMOUS);
  fill_even(read_only, 80);
  mprotect(read_only, kBytes, PROT_READ);
  auto* code = map(self, kPage, kReadWrite, MAP_PRIVATE | MAP_ANONYMOUS);
  const unsigned char answer[] = {0xb8, 42, 0, 0, 0, 0xc3};  // mov $42, %eax; ret
  memcpy(code, answer, sizeof(answer));
  mprotect(code, kPage, PROT_READ | PROT_EXEC);

  auto* grows = map(self, 4 * kPage, kReadWrite, MAP_PRIVATE | MAP_ANONYMOUS | MAP_GROWSDOWN);
  victim::Pattern::fill(grows, kPage, 95);

  self.ready_and_wait();

  self.expect(even_is_good(anonymous, 10) && odd_is_zero(anonymous), "private anonymous");
  self.expect(even_is_good(copied, 20), "copied-on-write pages");
  self.expect(victim::all_zero(copied + 5 * kPage, kPage), "file page zeroed in private");
  self.expect(shared_file[kPage * 3] == 77 && copied[kPage * 3] == 77, "shared file write");
  shared_file[kPage * 7] = 78;
  self.expect(copied[kPage * 7] == 78, "an untouched private page still shows the file");
  shared_file[kPage * 5 - 1] = 79;
  self.expect(offset_map[kPage - 1] == 79, "mapping at an offset");
  self.expect(even_is_good(shared, 30) && odd_is_zero(shared), "anonymous shared");
  shared[kPage] = 31;
  self.expect(shared_twin[kPage] == 31, "two mappings of one shared area");
  shared[kPage] = 0;
  self.expect(even_is_good(memfd_shared, 40), "memfd");
  self.expect(victim::Pattern::matches(memfd_private + 2 * kPage, kPage, 41),
              "private page of a memfd");
  memfd_shared[kPage] = 42;
  unsigned char byte = 0;
  self.expect(pread(memfd, &byte, 1, kPage) == 1 && byte == 42 && memfd_private[kPage] == 42,
              "memfd and mapping part");
  memfd_shared[kPage] = 0;
  self.expect(even_is_good(shm_area, 50), "/dev/shm");
  shm_area[kPage] = 51;
  self.expect(pread(shm, &byte, 1, kPage) == 1 && byte == 51, "/dev/shm file and mapping part");
  self.expect(victim::Pattern::matches(heap, kBytes, 60), "heap");
  self.expect(sbrk(0) == static_cast<char*>(heap_before) + kBytes && sbrk(kPage) == heap + kBytes,
              "brk moved");
  mprotect(unreadable, kBytes, PROT_READ);
  self.expect(even_is_good(unreadable, 70) && odd_is_zero(unreadable), "PROT_NONE area's content");
  mprotect(reserved + (size_t{1} << 29), kPage, kReadWrite);
  reserved[size_t{1} << 29] = 1;
  self.expect(even_is_good(read_only, 80), "read-only area");
  self.expect(reinterpret_cast<int (*)()>(code)() == 42, "code in anonymous memory");
  self.expect(victim::Pattern::matches(grows, kPage, 95), "area that grows down");
  return self.finish();
}
