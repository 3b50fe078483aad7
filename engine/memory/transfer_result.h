// Turns the parasite's answer to a page transfer into runs.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "engine/memory/page_transfer.h"

namespace cryostat::memory {

// `zero_bitmap` has one bit per page of `runs`, in order, lowest bit first: the page is zero. The
// others were stored one after the other from page `first_index` on. Appends to `stored` and
// returns how many pages were stored.
size_t split_runs(std::span<const PageRun> runs, const uint64_t* zero_bitmap, uint64_t first_index,
                  std::vector<StoredRun>& stored);

}  // namespace cryostat::memory
