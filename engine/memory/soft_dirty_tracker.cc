#include "engine/memory/soft_dirty_tracker.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <span>
#include <utility>

#include "engine/base/ids.h"
#include "engine/kernel/pagemap_scan.h"
#include "engine/memory/address_space.h"
#include "engine/memory/page_selection.h"
#include "engine/memory/pagemap_entries.h"
#include "engine/procfs/task_handle.h"

namespace cryostat::memory {

namespace {

// Appends the pages of one VMA.
Result<void> read_vma(int pagemap, const pb::Vma& vma, Trust trust,
                      std::vector<PageRange>& ranges) {
  std::vector<uint64_t> buffer(8192);
  for (uint64_t at = vma.start(); at < vma.end();) {
    const size_t wanted = std::min<uint64_t>(buffer.size(), (vma.end() - at) / kPageSize);
    const auto entries = std::span<uint64_t>(buffer).first(wanted);
    TRY(read_pagemap_entries(pagemap, at, entries));
    for (const uint64_t entry : entries) {
      const uint64_t page = std::exchange(at, at + kPageSize);
      const EntryKind kind = entry_kind(entry);
      if (kind == EntryKind::kNone) continue;
      const bool guard = kind == EntryKind::kGuard;
      const bool unchanged =
          !guard && trust == Trust::kUnchanged && (entry & kernel::kPagemapSoftDirty) == 0;
      append_range({page, page + kPageSize, guard, unchanged}, ranges);
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
