// pagemap.img, loaded: where the pages of each address space and shared memory object are.
#pragma once

#include <cstdint>
#include <map>
#include <utility>
#include <vector>

#include "engine/base/error.h"
#include "engine/image/format.h"
#include "proto/pagemap.pb.h"

namespace cryostat::image {

class CheckpointReader;

struct PageRun {
  uint64_t address;     // bytes: virtual address, or offset into a shared memory object
  uint64_t page_index;  // first page in pages.img, or kZeroPage
  uint32_t page_count;
};

struct PagemapImage {
  // By owner; runs ascending, not overlapping.
  std::map<std::pair<pb::PageRuns::Owner, uint32_t>, std::vector<PageRun>> owners;
  // Empty when the owner has no pages.
  const std::vector<PageRun>& runs(pb::PageRuns::Owner owner, uint32_t owner_id) const;
};

// Checked: arrays of equal length, alignment, order and overlap, indices inside pages.img. Errors:
// kImages.
Result<PagemapImage> load_pagemap(const CheckpointReader& reader);

}  // namespace cryostat::image
