// files.img, loaded.
#pragma once

#include <cstddef>
#include <cstdint>
#include <unordered_map>
#include <vector>

#include "engine/base/error.h"
#include "proto/files.pb.h"

namespace cryostat::image {

class CheckpointReader;

struct FilesImage {
  std::vector<pb::Description> descriptions;  // id n is element n-1
  std::vector<pb::GhostData> ghosts;          // chunks, those of one ghost together and in order
  std::vector<pb::DescriptorTable> tables;

  const pb::Description& description(uint32_t id) const { return descriptions[id - 1]; }
  // nullptr when there is none.
  const pb::DescriptorTable* table(uint32_t id) const;
  // False when its id is taken.
  bool add_table(pb::DescriptorTable table);

 private:
  std::unordered_map<uint32_t, size_t> places_;  // id -> index of `tables`
};

// Checked: dense ids, entries that name a description, no descriptor number twice, ghost ids, epoll
// watches. Errors: kImages.
Result<FilesImage> load_files(const CheckpointReader& reader);

}  // namespace cryostat::image
