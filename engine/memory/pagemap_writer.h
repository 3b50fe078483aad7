// Writes PageRuns records of one owner to pagemap.img, a few thousand runs at a time.
#pragma once

#include <cstdint>
#include <span>

#include "engine/base/error.h"
#include "engine/memory/page_transfer.h"
#include "proto/pagemap.pb.h"

namespace cryostat::image {
class CheckpointWriter;
}

namespace cryostat::memory {

class PagemapWriter {
 public:
  PagemapWriter(image::CheckpointWriter& writer, pb::PageRuns::Owner owner, uint32_t owner_id);
  // Runs come in address order.
  Result<void> add(const StoredRun& run);
  // Writes what is still held. Call once, at the end.
  Result<void> flush();

 private:
  image::CheckpointWriter& writer_;
  pb::PageRuns record_;
};

}  // namespace cryostat::memory
