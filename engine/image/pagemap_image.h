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
  uint64_t page_index;  // first page in its store, kZeroPage, or kInParentPage
  uint32_t page_count;
  uint32_t store = 0;  // whose pages: 0 own, n the checkpoint n steps up the chain
};

struct PagemapImage {
  using Key = std::pair<pb::PageRuns::Owner, uint32_t>;
  // By owner; runs ascending, not overlapping.
  std::map<Key, std::vector<PageRun>> owners;
  // The owner_id in the parent that in-parent runs of an owner mean.
  std::map<Key, uint32_t> parent_owners;
  // Empty when the owner has no pages.
  const std::vector<PageRun>& runs(pb::PageRuns::Owner owner, uint32_t owner_id) const;
};

// The runs as they are written, in-parent runs included: Chain resolves those. Checked: arrays of
// equal length, alignment, order and overlap, indices inside the own pages.img, that there is a
// parent when one is spoken of. Errors: kImages.
Result<PagemapImage> load_pagemap(const CheckpointReader& reader);

}  // namespace cryostat::image
