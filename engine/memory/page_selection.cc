#include "engine/memory/page_selection.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <linux/types.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <vector>

#include "engine/base/ids.h"
#include "engine/procfs/task_handle.h"

namespace cryostat::memory {

namespace {

// include/uapi/linux/fs.h of 6.7 (PAGE_IS_GUARD: 6.16); older headers lack all of it.
struct PmScanArg {
  uint64_t size = sizeof(PmScanArg);
  uint64_t flags = 0;
  uint64_t start = 0;
  uint64_t end = 0;
  uint64_t walk_end = 0;
  uint64_t vec = 0;
  uint64_t vec_len = 0;
  uint64_t max_pages = 0;
  uint64_t category_inverted = 0;
  uint64_t category_mask = 0;
  uint64_t category_anyof_mask = 0;
  uint64_t return_mask = 0;
};
static_assert(sizeof(PmScanArg) == 96);

struct PmRegion {
  uint64_t start;
  uint64_t end;
  uint64_t categories;
};
static_assert(sizeof(PmRegion) == 24);

constexpr unsigned long kPagemapScan = _IOWR('f', 16, PmScanArg);
constexpr uint64_t kIsFile = 1u << 2;
constexpr uint64_t kIsPresent = 1u << 3;
constexpr uint64_t kIsSwapped = 1u << 4;
constexpr uint64_t kIsZero = 1u << 5;
constexpr uint64_t kIsGuard = 1u << 8;

// Bits of a /proc/pid/pagemap entry (Documentation/admin-guide/mm/pagemap.rst).
constexpr uint64_t kEntryPresent = uint64_t{1} << 63;
constexpr uint64_t kEntrySwapped = uint64_t{1} << 62;
constexpr uint64_t kEntryFile = uint64_t{1} << 61;
constexpr uint64_t kEntryGuard = uint64_t{1} << 58;  // 6.15

bool probe_scan(int fd, uint64_t return_mask) {
  PmScanArg arg;
  PmRegion region;
  arg.vec = reinterpret_cast<uint64_t>(&region);
  arg.vec_len = 1;
  arg.start = 0;
  arg.end = kPageSize;  // nothing is ever mapped there
  arg.category_anyof_mask = return_mask;
  arg.return_mask = return_mask;
  return ioctl(fd, kPagemapScan, &arg) >= 0;
}

}  // namespace

Result<PageScanner> PageScanner::open(const TaskHandle& task, PageScanMode mode) {
  UniqueFd pagemap = TRY(task.proc().open_file("pagemap", O_RDONLY));
  Mode chosen = Mode::kPagemap;
  if (mode == PageScanMode::kAuto) {
    if (probe_scan(pagemap.get(), kIsPresent | kIsGuard))
      chosen = Mode::kScanWithGuards;
    else if (probe_scan(pagemap.get(), kIsPresent))
      chosen = Mode::kScan;
  }
  return PageScanner(std::move(pagemap), chosen);
}

Result<void> PageScanner::scan(const RemoteRange& range, PageSelection selection, const Visit& visit) {
  if (mode_ == Mode::kPagemap) return scan_pagemap(range, selection, visit);
  if (mode_ == Mode::kScan && selection == PageSelection::kGuardOnly) return {};
  return scan_ioctl(range, selection, visit);
}

Result<void> PageScanner::scan_ioctl(const RemoteRange& range, PageSelection selection, const Visit& visit) {
  std::array<PmRegion, 512> regions;
  PmScanArg arg;
  arg.end = range.end;
  arg.vec = reinterpret_cast<uint64_t>(regions.data());
  arg.vec_len = regions.size();
  const uint64_t guard = mode_ == Mode::kScanWithGuards ? kIsGuard : 0;
  if (selection == PageSelection::kPrivate) {
    arg.category_mask = kIsZero | kIsFile;  // inverted: neither may be set
    arg.category_inverted = kIsZero | kIsFile;
    arg.category_anyof_mask = kIsPresent | kIsSwapped | guard;
  } else {
    arg.category_mask = guard;
  }
  arg.return_mask = guard != 0 ? guard : kIsPresent;
  for (arg.start = range.start; arg.start < range.end; arg.start = arg.walk_end) {
    const int count = ioctl(pagemap_.get(), kPagemapScan, &arg);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0)
      return fail_errno(fmt::format("PAGEMAP_SCAN of {:x}-{:x}", range.start, range.end));
    for (int i = 0; i < count; ++i)
      TRY(visit({regions[i].start, regions[i].end, (regions[i].categories & guard) != 0}));
    if (arg.walk_end <= arg.start)
      return fail(ErrorKind::kFailed, fmt::format("PAGEMAP_SCAN stands still at {:x}", arg.start));
  }
  return {};
}

Result<void> PageScanner::scan_pagemap(const RemoteRange& range, PageSelection selection, const Visit& visit) {
  std::vector<uint64_t> entries(8192);
  PageRange run;  // being extended
  for (uint64_t at = range.start; at < range.end;) {
    const size_t wanted = std::min<uint64_t>(entries.size(), (range.end - at) / kPageSize);
    const ssize_t got = pread(pagemap_.get(), entries.data(), wanted * sizeof(uint64_t),
                              static_cast<off_t>(at / kPageSize * sizeof(uint64_t)));
    if (got < 0 && errno == EINTR) continue;
    if (got < static_cast<ssize_t>(sizeof(uint64_t)))
      return fail_errno(got < 0 ? errno : EIO, fmt::format("read pagemap at {:x}", at));
    for (size_t i = 0; i < static_cast<size_t>(got) / sizeof(uint64_t); ++i, at += kPageSize) {
      const bool guard = (entries[i] & kEntryGuard) != 0;
      const bool data = selection == PageSelection::kPrivate && (entries[i] & kEntryFile) == 0 &&
                        (entries[i] & (kEntryPresent | kEntrySwapped)) != 0;
      if (!guard && !data) continue;
      if (run.end == at && run.guard == guard) {
        run.end += kPageSize;
        continue;
      }
      if (run.end > run.start) TRY(visit(run));
      run = {at, at + kPageSize, guard};
    }
  }
  if (run.end > run.start) TRY(visit(run));
  return {};
}

}  // namespace cryostat::memory
