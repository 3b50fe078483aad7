#include "engine/memory/uffd_wp_tracker.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <span>
#include <utility>

#include "engine/base/ids.h"
#include "engine/base/log.h"
#include "engine/infect/infected_task.h"
#include "engine/kernel/pagemap_scan.h"
#include "engine/kernel/userfaultfd.h"
#include "engine/memory/address_space.h"
#include "engine/memory/page_selection.h"
#include "engine/memory/pagemap_entries.h"
#include "engine/procfs/task_handle.h"

namespace cryostat::memory {

namespace {

using kernel::kPageIsFile;
using kernel::kPageIsPfnZero;
using kernel::kPageIsPresent;
using kernel::kPageIsSwapped;
using kernel::kPageIsWritten;

// Private memory of the target's own. Huge pages of hugetlbfs are left out: their protection is of
// another kind.
bool can_be_tracked(const pb::Vma& vma) {
  return !vma.shared() && !vma.droppable() && vma.hugetlb_page_size_bytes() == 0 &&
         vma.backing() != pb::Vma::VDSO && vma.backing() != pb::Vma::VVAR;
}

// How a stretch of VMAs is read.
enum class Kind : uint8_t { kOther, kNew, kTracked };

// Pages of a file in it, that were not copied on write, are not private. To tell them the kernel
// looks at the struct page of each: in anonymous memory, which has none, that takes most of the
// time.
bool may_have_file_pages(const pb::Vma& vma) { return vma.backing() != pb::Vma::ANONYMOUS; }

// One reading of an address space.
class Reading {
 public:
  Reading(const TaskHandle& task, int userfaultfd, int pagemap, PageScanner& scanner, Trust trust,
          Arm arm)
      : task_(task),
        userfaultfd_(userfaultfd),
        pagemap_(pagemap),
        scanner_(scanner),
        trust_(trust),
        arm_(arm) {}

  Result<std::vector<PageRange>> run(const AddressSpaceState& space) {
    for (size_t i = 0; i < space.vmas.size();) {
      const pb::Vma& first = space.vmas[i];
      const Kind kind = TRY(prepare(first, space.write_protected[i]));
      const bool of_file = may_have_file_pages(first);
      // The kernel scans neighbours of one kind at once. In gaps there may be what is not the
      // target's own: the parasite.
      RemoteRange range = {first.start(), first.end()};
      for (++i; i < space.vmas.size() && space.vmas[i].start() == range.end; ++i) {
        if (may_have_file_pages(space.vmas[i]) != of_file) break;
        if (TRY(prepare(space.vmas[i], space.write_protected[i])) != kind) break;
        range.end = space.vmas[i].end();
      }
      TRY(kind == Kind::kOther ? scan_other(range) : scan_registered(range, kind, of_file));
    }
    return std::move(ranges_);
  }

 private:
  // Registers what is to be tracked; does nothing the second time.
  Result<Kind> prepare(const pb::Vma& vma, bool registered) {
    if (!registered && (arm_ == Arm::kLeave || !can_be_tracked(vma))) return Kind::kOther;
    auto done = kernel::register_write_protect(userfaultfd_, RemoteAddr(vma.start()),
                                               RemoteAddr(vma.end()));
    if (done) return registered ? Kind::kTracked : Kind::kNew;
    if (registered && done.error().errno_value() == EBUSY)
      return fail(ErrorKind::kRefused,
                  fmt::format("pid {}: memory {:x}-{:x} is registered with another userfaultfd",
                              task_.pid().value, vma.start(), vma.end()));
    log::debug("not tracked: {}", done.error().message());
    return Kind::kOther;
  }

  Result<void> scan_other(const RemoteRange& range) {
    return scanner_.scan(range, [&](const PageRange& found) -> Result<void> {
      ranges_.push_back(found);
      return {};
    });
  }

  Result<void> scan_registered(const RemoteRange& range, Kind kind, bool of_file) {
    std::array<kernel::PageRegion, 512> regions;
    kernel::PageQuery query;
    query.end = RemoteAddr(range.end);
    query.all_of = query.inverted = of_file ? kPageIsPfnZero | kPageIsFile : kPageIsPfnZero;  // not
    query.any_of = kPageIsPresent | kPageIsSwapped;
    query.report = kPageIsWritten | kPageIsSwapped;
    query.flags = arm_ == Arm::kRearm ? kernel::kPmScanWpMatching : 0;
    // A mapping that lost its registration must not be taken for one where nothing was written.
    query.flags |= kernel::kPmScanCheckWpAsync;
    for (uint64_t at = range.start; at < range.end;) {
      query.start = RemoteAddr(at);
      const auto answer = TRY(kernel::scan_pages(pagemap_, query, regions));
      for (size_t i = 0; i < answer.region_count; ++i) TRY(add(regions[i], kind));
      if (answer.walk_end.value <= at)
        return fail(ErrorKind::kFailed, fmt::format("PAGEMAP_SCAN stands still at {:x}", at));
      at = answer.walk_end.value;
    }
    return {};
  }

  Result<void> add(const kernel::PageRegion& region, Kind kind) {
    const bool written = (region.categories & kPageIsWritten) != 0;
    // Protection from an earlier life of pages that were moved here (mremap before 6.13) may be a
    // bit without effect: set it again.
    if (kind == Kind::kNew && !written && arm_ == Arm::kRearm)
      TRY(kernel::write_protect(userfaultfd_, RemoteAddr(region.start), RemoteAddr(region.end)));
    const bool unchanged = kind == Kind::kTracked && trust_ == Trust::kUnchanged && !written;
    if ((region.categories & kPageIsSwapped) != 0) return add_swapped(region, unchanged);
    append_range({region.start, region.end, false, unchanged}, ranges_);
    return {};
  }

  // Not all that looks swapped out is a page: guards, and marks of protection where a page was
  // given back (private file mappings).
  Result<void> add_swapped(const kernel::PageRegion& region, bool unchanged) {
    std::array<uint64_t, 512> buffer;
    for (uint64_t at = region.start; at < region.end;) {
      const size_t wanted = std::min<uint64_t>(buffer.size(), (region.end - at) / kPageSize);
      const auto entries = std::span<uint64_t>(buffer).first(wanted);
      TRY(read_pagemap_entries(pagemap_, at, entries));
      for (const uint64_t entry : entries) {
        const uint64_t page = std::exchange(at, at + kPageSize);
        const EntryKind what = entry_kind(entry);
        if (what != EntryKind::kNone)
          append_range({page, page + kPageSize, what == EntryKind::kGuard,
                        unchanged && what != EntryKind::kGuard},
                       ranges_);
      }
    }
    return {};
  }

  const TaskHandle& task_;
  const int userfaultfd_;
  const int pagemap_;
  PageScanner& scanner_;
  const Trust trust_;
  const Arm arm_;
  std::vector<PageRange> ranges_;
};

}  // namespace

Result<UniqueFd> UffdWpTracker::create_userfaultfd(const TaskHandle& task, InfectedTask& infected) {
  const int64_t number = TRY(infected.remote_syscall(
      SYS_userfaultfd, {static_cast<uint64_t>(kernel::kUserfaultfdFlags), 0, 0, 0, 0, 0}));
  if (number < 0)
    return fail_errno(static_cast<int>(-number),
                      fmt::format("create a userfaultfd in pid {}", task.pid().value));
  auto ours = task.get_fd(RemoteFd(static_cast<int>(number)));
  const int64_t closed =
      TRY(infected.remote_syscall(SYS_close, {static_cast<uint64_t>(number), 0, 0, 0, 0, 0}));
  if (closed < 0)
    return fail_errno(static_cast<int>(-closed),
                      fmt::format("close descriptor {} in pid {}", number, task.pid().value));
  UniqueFd userfaultfd = TRY(std::move(ours));
  TRY(kernel::enable_async_write_protect(userfaultfd.get()));
  return userfaultfd;
}

Result<UffdWpTracker> UffdWpTracker::open(const TaskHandle& task, int userfaultfd) {
  return UffdWpTracker(task, userfaultfd, TRY(task.proc().open_file("pagemap", O_RDONLY)));
}

Result<std::vector<PageRange>> UffdWpTracker::read(const AddressSpaceState& space, Trust trust,
                                                   Arm arm) {
  PageScanner scanner = TRY(PageScanner::open(task_));
  Reading reading(task_, userfaultfd_, pagemap_.get(), scanner, trust, arm);
  return TRY_IN(reading.run(space), "read the uffd-wp tracker");
}

}  // namespace cryostat::memory
