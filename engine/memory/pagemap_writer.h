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
  // `parent_owner_id`: the owner's id in the parent, 0 when there are no in-parent runs.
  PagemapWriter(image::CheckpointWriter& writer, pb::PageRuns::Owner owner, uint32_t owner_id,
                uint32_t parent_owner_id = 0);
  // Before the first in-parent run of an owner that had no parent.
  void set_parent_owner(uint32_t owner_id) { record_.set_parent_owner_id(owner_id); }
  // Runs come in address order. Those that continue the last one are joined to it.
  Result<void> add(const StoredRun& run);
  // Writes what is still held. Call once, at the end.
  Result<void> flush();

 private:
  bool extend_last(const StoredRun& run);

  image::CheckpointWriter& writer_;
  pb::PageRuns record_;
};

}  // namespace cryostat::memory
