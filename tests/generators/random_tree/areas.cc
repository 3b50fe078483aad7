#include "tests/generators/random_tree/areas.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cstring>

namespace random_tree {
namespace {

constexpr size_t kPage = 4096;

void fill_page(unsigned char* page, uint64_t seed) {
  Random bytes(seed);
  for (size_t i = 0; i < kPage; i += sizeof(uint64_t)) {
    const uint64_t word = bytes.next();
    memcpy(page + i, &word, sizeof(word));
  }
}

int file_of(Random& random, const std::string& folder, size_t pages) {
  const std::string path = folder + "/mapped" + std::to_string(random.next() % 1'000'000'000);
  const int fd = open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0666);
  unsigned char page[kPage];
  for (size_t i = 0; fd >= 0 && i < pages; ++i) {
    fill_page(page, random.next());
    (void)!write(fd, page, kPage);
  }
  if (random.chance(20)) unlink(path.c_str());
  return fd;
}

}  // namespace

void Areas::map(Random& random, const std::string& folder) {
  // Some are large enough for huge pages.
  const size_t pages = 1 + (random.chance(4) ? 700 + random.below(600) : random.below(40));
  const uint64_t sort = random.below(6);
  int fd = -1;
  int flags = sort < 3 ? MAP_PRIVATE : MAP_SHARED;
  if (sort == 2 || sort == 5) fd = file_of(random, folder, pages);
  if (sort == 4) {
    fd = memfd_create("area", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (ftruncate(fd, static_cast<off_t>(pages * kPage)) != 0) return;
  }
  if (fd < 0) flags |= MAP_ANONYMOUS;
  void* const at = mmap(nullptr, pages * kPage, PROT_READ | PROT_WRITE, flags, fd, 0);
  // Sealed while it is mapped: against new mappings that write.
  if (sort == 4 && random.chance(40)) fcntl(fd, F_ADD_SEALS, F_SEAL_FUTURE_WRITE | F_SEAL_GROW);
  if (fd >= 0) close(fd);
  if (at == MAP_FAILED) return;
  Area area{static_cast<unsigned char*>(at), pages, sort == 3 || sort == 4, false};
  for (size_t page = 0; page < pages; ++page)
    if (fd < 0 && random.chance(60)) fill_page(area.start + page * kPage, random.next());
  areas_.push_back(area);
}

void Areas::change(Random& random) {
  for (uint64_t i = 1 + random.below(12); i-- > 0 && !areas_.empty();) {
    const Area& area = random.pick(areas_);
    const size_t page = random.below(area.pages);
    if (page != 0 || !area.protected_page) fill_page(area.start + page * kPage, random.next());
  }
}

void Areas::protect(Random& random) {
  if (areas_.empty()) return;
  Area& area = areas_[random.below(areas_.size())];
  const uint64_t what = random.below(5);
  if (what == 0) {
    area.protected_page = mprotect(area.start, kPage, PROT_NONE) == 0 || area.protected_page;
  } else if (what == 1 && area.pages > 4) {
    madvise(area.start + 2 * kPage, 2 * kPage, MADV_DONTNEED);
  } else if (what == 2) {
    madvise(area.start, area.pages * kPage, MADV_HUGEPAGE);
  } else if (what == 3) {
    mlock(area.start, kPage);
  } else {
    madvise(area.start, kPage, MADV_DONTDUMP);
  }
}

void Areas::look(Report& report) const {
  for (const Area& area : areas_) {
    const size_t first = area.protected_page ? 1 : 0;
    report.line("memory %p pages %zu: %lx", static_cast<void*>(area.start), area.pages,
                hash_of(area.start + first * kPage, (area.pages - first) * kPage));
  }
}

void Areas::poke(uint32_t member) {
  for (const Area& area : areas_) {
    if (!area.shared || (area.protected_page && area.pages == 1)) continue;
    area.start[(area.pages - 1) * kPage + 8 + member] ^= 0x55;
  }
}

}  // namespace random_tree
