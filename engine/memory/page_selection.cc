#include "engine/memory/page_selection.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <span>
#include <utility>
#include <vector>

#include "engine/base/ids.h"
#include "engine/kernel/pagemap_scan.h"
#include "engine/memory/pagemap_entries.h"
#include "engine/procfs/task_handle.h"

namespace cryostat::memory {

namespace {

// Low bits of the entry of a swapped out page: swap type, and from bit 5 on the offset (seen with
// CAP_SYS_ADMIN). The last type is no swap file but a marker: a guard, or write-protection (of a
// userfaultfd) where there is no page.
constexpr uint64_t kSwapTypeMask = 0x1f;
constexpr uint64_t kMarkerType = 0x1f;
constexpr uint64_t kProtectionMarker = uint64_t{1} << 5;
constexpr uint64_t kGuardMarker = uint64_t{4} << 5;

bool probe_scan(int fd, uint64_t report) {
  std::array<kernel::PageRegion, 1> regions;
  kernel::PageQuery query;  // of a page where nothing is ever mapped
  query.end = RemoteAddr(kPageSize);
  query.any_of = report;
  query.report = report;
  return kernel::scan_pages(fd, query, regions).has_value();
}

}  // namespace

EntryKind entry_kind(uint64_t entry) {
  if ((entry & kernel::kPagemapGuard) != 0) return EntryKind::kGuard;
  if ((entry & kernel::kPagemapSwapped) != 0 && (entry & kSwapTypeMask) == kMarkerType) {
    if ((entry & kGuardMarker) != 0) return EntryKind::kGuard;
    if ((entry & kProtectionMarker) != 0) return EntryKind::kNone;
  }
  const bool there = (entry & (kernel::kPagemapPresent | kernel::kPagemapSwapped)) != 0;
  return there && (entry & kernel::kPagemapFile) == 0 ? EntryKind::kPage : EntryKind::kNone;
}

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

Result<void> PageScanner::scan(const RemoteRange& range, const Visit& visit) {
  return mode_ == Mode::kPagemap ? scan_entries(range, visit) : scan_ioctl(range, visit);
}

Result<void> PageScanner::scan_ioctl(const RemoteRange& range, const Visit& visit) {
  std::array<kernel::PageRegion, 512> regions;
  const bool with_guards = mode_ == Mode::kScanWithGuards;
  kernel::PageQuery query;
  query.end = RemoteAddr(range.end);
  query.all_of = query.inverted = kernel::kPageIsPfnZero | kernel::kPageIsFile;  // neither of them
  query.any_of = kernel::kPageIsPresent | kernel::kPageIsSwapped;
  if (with_guards) query.any_of |= kernel::kPageIsGuard;
  query.report = with_guards ? kernel::kPageIsGuard : kernel::kPageIsSwapped;
  for (uint64_t at = range.start; at < range.end;) {
    query.start = RemoteAddr(at);
    const kernel::PageAnswer answer = TRY(kernel::scan_pages(pagemap_.get(), query, regions));
    for (size_t i = 0; i < answer.region_count; ++i) {
      const bool marked = (regions[i].categories & query.report) != 0;
      if (marked && !with_guards)
        TRY(scan_entries({regions[i].start, regions[i].end}, visit));
      else
        TRY(visit({regions[i].start, regions[i].end, marked, false}));
    }
    if (answer.walk_end.value <= at)
      return fail(ErrorKind::kFailed, fmt::format("PAGEMAP_SCAN stands still at {:x}", at));
    at = answer.walk_end.value;
  }
  return {};
}

void append_range(const PageRange& range, std::vector<PageRange>& ranges) {
  const bool goes_on = !ranges.empty() && ranges.back().end == range.start &&
                       ranges.back().guard == range.guard &&
                       ranges.back().unchanged == range.unchanged;
  if (goes_on)
    ranges.back().end = range.end;
  else
    ranges.push_back(range);
}

Result<void> PageScanner::scan_entries(const RemoteRange& range, const Visit& visit) {
  std::vector<uint64_t> buffer(8192);
  PageRange run;  // being extended
  for (uint64_t at = range.start; at < range.end;) {
    const size_t wanted = std::min<uint64_t>(buffer.size(), (range.end - at) / kPageSize);
    const auto entries = std::span<uint64_t>(buffer).first(wanted);
    TRY(read_pagemap_entries(pagemap_.get(), at, entries));
    for (const uint64_t entry : entries) {
      const uint64_t page = std::exchange(at, at + kPageSize);
      const EntryKind kind = entry_kind(entry);
      if (kind == EntryKind::kNone) continue;
      const bool guard = kind == EntryKind::kGuard;
      if (run.end == page && run.guard == guard) {
        run.end += kPageSize;
        continue;
      }
      if (run.end > run.start) TRY(visit(run));
      run = {page, page + kPageSize, guard, false};
    }
  }
  return run.end > run.start ? visit(run) : Result<void>{};
}

}  // namespace cryostat::memory
