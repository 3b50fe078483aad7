#include "engine/memory/page_selection.h"

#include <fcntl.h>
#include <sys/mman.h>

#include <vector>

#include "engine/base/ids.h"
#include "engine/kernel/constants.h"
#include "engine/kernel/probes.h"
#include "engine/procfs/task_handle.h"
#include "tests/support/catch.h"
#include "tests/unit/memory/stopped_child.h"

namespace cryostat::memory {
namespace {

struct Found {
  uint64_t first;  // page numbers from the start of the area
  uint64_t end;
  bool guard;
  bool operator==(const Found&) const = default;
};

std::vector<Found> scan(HostPid pid, const char* area, size_t pages,
                        PageScanMode mode = PageScanMode::kAuto) {
  const auto task = TaskHandle::open(pid);
  REQUIRE(task.has_value());
  auto scanner = PageScanner::open(*task, mode);
  REQUIRE(scanner.has_value());
  const auto start = reinterpret_cast<uint64_t>(area);
  std::vector<Found> found;
  const auto done = scanner->scan({start, start + pages * kPageSize}, [&](const PageRange& range) {
    found.push_back(
        {(range.start - start) / kPageSize, (range.end - start) / kPageSize, range.guard});
    return Result<void>{};
  });
  REQUIRE(done.has_value());
  return found;
}

char* map_pages(size_t pages, int flags = MAP_PRIVATE | MAP_ANONYMOUS, int fd = -1) {
  void* const at =
      mmap(nullptr, pages * kPageSize, PROT_READ | PROT_WRITE, flags | MAP_NORESERVE, fd, 0);
  REQUIRE(at != MAP_FAILED);
  // A huge page would make neighbours of written pages present.
  madvise(at, pages * kPageSize, MADV_NOHUGEPAGE);
  return static_cast<char*>(at);
}

TEST_CASE("anonymous pages: written ones are found, zero and untouched ones are not") {
  char* const area = map_pages(100);
  const StoppedChild child([area] {
    for (int page = 10; page < 20; ++page) area[page * kPageSize] = 1;
    area[50 * kPageSize] = 1;
    static_cast<void>(*static_cast<volatile char*>(area + 70 * kPageSize));  // maps the zero page
  });
  const std::vector<Found> expected = {{10, 20, false}, {50, 51, false}};
  // pagemap does not tell the zero page apart: it is found out when it is moved.
  const std::vector<Found> by_entry = {{10, 20, false}, {50, 51, false}, {70, 71, false}};
  CHECK(scan(child.pid(), area, 100) ==
        (kernel::probe("PAGEMAP_SCAN").available ? expected : by_entry));
  CHECK(scan(child.pid(), area, 100, PageScanMode::kPagemapOnly) == by_entry);
  munmap(area, 100 * kPageSize);
}

TEST_CASE("private file mapping: only pages copied on write are found") {
  const int fd = memfd_create("page selection", MFD_CLOEXEC);
  REQUIRE(ftruncate(fd, 16 * kPageSize) == 0);
  char* const area = map_pages(16, MAP_PRIVATE, fd);
  const StoppedChild child([area] {
    for (int page = 0; page < 16; ++page)
      static_cast<void>(*static_cast<volatile char*>(area + page * kPageSize));
    area[3 * kPageSize] = 1;
    area[4 * kPageSize] = 1;
  });
  const std::vector<Found> expected = {{3, 5, false}};
  CHECK(scan(child.pid(), area, 16) == expected);
  CHECK(scan(child.pid(), area, 16, PageScanMode::kPagemapOnly) == expected);
  munmap(area, 16 * kPageSize);
  close(fd);
}

TEST_CASE("guard ranges are told apart from pages") {
  char* const area = map_pages(16);
  if (madvise(area, kPageSize, kernel::kMadvGuardInstall) != 0) {
    WARN("skipped: this kernel has no MADV_GUARD_INSTALL");
    return;
  }
  const StoppedChild child([area] {
    for (int page = 0; page < 8; ++page)
      if (page != 0) area[page * kPageSize] = 1;
    madvise(area + 4 * kPageSize, 2 * kPageSize, kernel::kMadvGuardInstall);
  });
  const std::vector<Found> expected = {{0, 1, true}, {1, 4, false}, {4, 6, true}, {6, 8, false}};
  CHECK(scan(child.pid(), area, 8) == expected);
  CHECK(scan(child.pid(), area, 8, PageScanMode::kPagemapOnly) == expected);
  munmap(area, 16 * kPageSize);
}

TEST_CASE("a scan goes on where the region buffer was full") {
  constexpr int kPages = 4096;
  char* const area = map_pages(kPages);
  const StoppedChild child([area] {
    for (int page = 0; page < kPages; page += 2) area[page * kPageSize] = 1;
  });
  for (const auto mode : {PageScanMode::kAuto, PageScanMode::kPagemapOnly}) {
    const auto found = scan(child.pid(), area, kPages, mode);
    REQUIRE(found.size() == kPages / 2);
    for (size_t i = 0; i < found.size(); ++i) CHECK(found[i] == Found{2 * i, 2 * i + 1, false});
  }
  munmap(area, kPages * kPageSize);
}

}  // namespace
}  // namespace cryostat::memory
