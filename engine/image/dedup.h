// Frees pages of ancestors that a checkpoint does not need: cr-dedup(1).
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "engine/base/deadline.h"
#include "engine/base/error.h"
#include "engine/image/chain.h"

namespace cryostat::image {

// One ancestor.
struct DedupShare {
  std::string directory;
  uint64_t page_count = 0;  // in its pages.img
  uint64_t pages_used = 0;  // by the checkpoint
  // Not used, and there.
  std::vector<StoreRange> to_free;
  uint64_t pages_to_free = 0;
};

// What deduplication would free, nearest ancestor first. Reads only.
std::vector<DedupShare> plan_dedup(const Chain& chain);

// Frees it, by punching holes. The pages that the checkpoint needs are on the disk before the first
// hole is, and no needed page is ever touched: broken off at any point, the checkpoint is whole and
// the rest can be done later. An ancestor that lost pages can't be restored any more. Errors:
// kRefused where the file system can't free parts of a file; kFailed.
Result<void> dedup(const Chain& chain, const std::vector<DedupShare>& plan,
                   const StopRequest& stop);

}  // namespace cryostat::image
