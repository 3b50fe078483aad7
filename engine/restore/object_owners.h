// Which task of a tree creates a shared memory object; the others get it from there.
#pragma once

#include <cstdint>
#include <vector>

#include "engine/files/description_groups.h"
#include "engine/image/checkpoint_images.h"

namespace cryostat::restore {

class ObjectOwners {
 public:
  ObjectOwners(const image::CheckpointImages& images, const files::DescriptionOwners& descriptions);

  // Objects that the task (an index into the images) maps, executes, or opens a description of;
  // ascending ids. For tasks with one descriptor table the first one gets them all.
  const std::vector<uint32_t>& used_by(size_t task) const { return used_[task]; }
  bool is_used(uint32_t object) const { return owners_[object] != kNobody; }
  // The first task that uses it.
  size_t owner(uint32_t object) const { return owners_[object]; }
  bool is_shared(uint32_t object) const { return shared_[object]; }

 private:
  static constexpr size_t kNobody = SIZE_MAX;
  std::vector<std::vector<uint32_t>> used_;  // by task
  std::vector<size_t> owners_;               // by object id
  std::vector<bool> shared_;
};

}  // namespace cryostat::restore
