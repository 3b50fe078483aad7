#include "engine/memory/soft_dirty_tracker.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "engine/base/ids.h"
#include "engine/kernel/pagemap_scan.h"
#include "engine/memory/address_space.h"
#include "engine/memory/page_selection.h"
#include "engine/procfs/task_handle.h"

namespace cryostat::memory {

namespace {

// Appends the pages of one VMA.
Result<void> read_vma(int pagemap, const pb::Vma& vma, Trust trust,
                      std::vector<PageRange>& ranges) {
  std::vector<uint64_t> entries(8192);
  for (uint64_t at = vma.start(); at < vma.end();) {
    const size_t wanted = std::min<uint64_t>(entries.size(), (vma.end() - at) / kPageSize);
    const ssize_t got = pread(pagemap, entries.data(), wanted * sizeof(uint64_t),
                              static_cast<off_t>(at / kPageSize * sizeof(uint64_t)));
    if (got < 0 && errno == EINTR) continue;
    if (got < static_cast<ssize_t>(sizeof(uint64_t)))
      return fail_errno(got < 0 ? errno : EIO, fmt::format("read pagemap at {:x}", at));
    for (size_t i = 0; i < static_cast<size_t>(got) / sizeof(uint64_t); ++i, at += kPageSize) {
      const EntryKind kind = entry_kind(entries[i]);
      if (kind == EntryKind::kNone) continue;
      const bool guard = kind == EntryKind::kGuard;
      const bool unchanged =
          !guard && trust == Trust::kUnchanged && (entries[i] & kernel::kPagemapSoftDirty) == 0;
      if (!ranges.empty() && ranges.back().end == at && ranges.back().guard == guard &&
          ranges.back().unchanged == unchanged)
        ranges.back().end += kPageSize;
      else
        ranges.push_back({at, at + kPageSize, guard, unchanged});
    }
  }
  return {};
}

}  // namespace

Result<std::vector<PageRange>> SoftDirtyTracker::read(const AddressSpaceState& space, Trust trust,
                                                      Arm arm) {
  const UniqueFd pagemap = TRY(task_.proc().open_file("pagemap", O_RDONLY));
  std::vector<PageRange> ranges;
  for (size_t i = 0; i < space.vmas.size(); ++i)
    if (space.private_bytes[i] != 0)
      TRY_IN(read_vma(pagemap.get(), space.vmas[i], trust, ranges), "read the soft-dirty tracker");
  if (arm == Arm::kRearm) TRY(task_.proc().write("clear_refs", "4"));
  return ranges;
}

}  // namespace cryostat::memory
