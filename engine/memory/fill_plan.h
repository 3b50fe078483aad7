// Which bytes of pages.img go where, cut into single reads.
#pragma once

#include <vector>

#include "engine/base/error.h"
#include "proto/wire/restorer_memory.h"

namespace cryostat::image {
struct AddressSpaceImage;
struct PageRun;
}  // namespace cryostat::image

namespace cryostat::memory {

struct FillPlan {
  std::vector<wire::FillBatch> batches;
  std::vector<wire::FillTarget> targets;
  std::vector<wire::AddressRange> zeroes;
};

// `runs` ascending, of a Chain. Pages that follow each other in one store's pages.img are read
// together, up to wire::kFillMaxBytes.
FillPlan plan_fill(const std::vector<image::PageRun>& runs);

}  // namespace cryostat::memory
