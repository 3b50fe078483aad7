#include "engine/memory/page_selection.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <vector>

#include "engine/base/ids.h"
#include "engine/kernel/pagemap_scan.h"
#include "engine/procfs/task_handle.h"

namespace cryostat::memory {

namespace {

bool probe_scan(int fd, uint64_t report) {
  std::array<kernel::PageRegion, 1> regions;
  kernel::PageQuery query;  // of a page where nothing is ever mapped
  query.end = RemoteAddr(kPageSize);
  query.any_of = report;
  query.report = report;
  return kernel::scan_pages(fd, query, regions).has_value();
}

}  // namespace

Result<PageScanner> PageScanner::open(const TaskHandle& task, PageScanMode mode) {
  UniqueFd pagemap = TRY(task.proc().open_file("pagemap", O_RDONLY));
  Mode chosen = Mode::kPagemap;
  if (mode == PageScanMode::kAuto) {
    if (probe_scan(pagemap.get(), kernel::kPageIsPresent | kernel::kPageIsGuard))
      chosen = Mode::kScanWithGuards;
    else if (probe_scan(pagemap.get(), kernel::kPageIsPresent))
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
  std::array<kernel::PageRegion, 512> regions;
  const uint64_t guard = mode_ == Mode::kScanWithGuards ? uint64_t{kernel::kPageIsGuard} : 0;
  kernel::PageQuery query;
  query.end = RemoteAddr(range.end);
  if (selection == PageSelection::kPrivate) {
    query.all_of = query.inverted = kernel::kPageIsPfnZero | kernel::kPageIsFile;  // neither of them
    query.any_of = kernel::kPageIsPresent | kernel::kPageIsSwapped | guard;
  } else {
    query.all_of = guard;
  }
  query.report = guard != 0 ? guard : uint64_t{kernel::kPageIsPresent};
  for (uint64_t at = range.start; at < range.end;) {
    query.start = RemoteAddr(at);
    const kernel::PageAnswer answer = TRY(kernel::scan_pages(pagemap_.get(), query, regions));
    for (size_t i = 0; i < answer.region_count; ++i)
      TRY(visit({regions[i].start, regions[i].end, (regions[i].categories & guard) != 0}));
    if (answer.walk_end.value <= at)
      return fail(ErrorKind::kFailed, fmt::format("PAGEMAP_SCAN stands still at {:x}", at));
    at = answer.walk_end.value;
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
      const bool guard = (entries[i] & kernel::kPagemapGuard) != 0;
      const bool data = selection == PageSelection::kPrivate && (entries[i] & kernel::kPagemapFile) == 0 &&
                        (entries[i] & (kernel::kPagemapPresent | kernel::kPagemapSwapped)) != 0;
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
