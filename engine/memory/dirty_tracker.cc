#include "engine/memory/dirty_tracker.h"

#include <algorithm>

#include "engine/memory/address_space.h"
#include "engine/memory/page_selection.h"
#include "engine/procfs/task_handle.h"

namespace cryostat::memory {

Result<void> PageList::scan(const RemoteRange& range, const Visit& visit) {
  auto at =
      std::upper_bound(ranges_.begin(), ranges_.end(), range.start,
                       [](uint64_t start, const PageRange& known) { return start < known.end; });
  for (; at != ranges_.end() && at->start < range.end; ++at) {
    PageRange part = *at;
    part.start = std::max(part.start, range.start);
    part.end = std::min(part.end, range.end);
    TRY(visit(part));
  }
  return {};
}

uint64_t PageList::changed_bytes() const {
  uint64_t bytes = 0;
  for (const PageRange& range : ranges_)
    if (!range.unchanged && !range.guard) bytes += range.end - range.start;
  return bytes;
}

Result<std::vector<PageRange>> NoTracker::read(const AddressSpaceState& space, Trust, Arm) {
  PageScanner scanner = TRY(PageScanner::open(task_));
  std::vector<PageRange> ranges;
  const auto keep = [&](const PageRange& range) -> Result<void> {
    ranges.push_back(range);
    return {};
  };
  if (scanner.skips_gaps() && !space.vmas.empty()) {
    TRY(scanner.scan({space.vmas.front().start(), space.vmas.back().end()}, keep));
    return ranges;
  }
  for (size_t i = 0; i < space.vmas.size(); ++i)
    if (space.private_bytes[i] != 0)
      TRY(scanner.scan({space.vmas[i].start(), space.vmas[i].end()}, keep));
  return ranges;
}

}  // namespace cryostat::memory
