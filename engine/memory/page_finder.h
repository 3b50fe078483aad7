// Where the pages that have to be saved are found: the frozen target, as it is now or as a tracker
// knows it, or a list made earlier.
#pragma once

#include <cstdint>
#include <functional>

#include "engine/base/error.h"
#include "engine/memory/remote_range.h"

namespace cryostat::memory {

// Consecutive pages [start, end).
struct PageRange {
  uint64_t start = 0;
  uint64_t end = 0;
  bool guard = false;      // MADV_GUARD_INSTALL: no content, access faults
  bool unchanged = false;  // as in the parent checkpoint, says a tracker
};

class PageFinder {
 public:
  virtual ~PageFinder() = default;

  // Calls `visit` for the ranges inside `range` that have to be saved, ascending, until it fails:
  // private pages that are present or swapped out, not of a file (so copied on write) and not the
  // kernel's zero page; and guard ranges.
  using Visit = std::function<Result<void>(const PageRange&)>;
  virtual Result<void> scan(const RemoteRange& range, const Visit& visit) = 0;

  // Is one scan over everything cheaper than one for each VMA?
  virtual bool skips_gaps() const = 0;
};

}  // namespace cryostat::memory
