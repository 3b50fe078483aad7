// The checkpoint that an increment builds on, as far as its memory goes.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "engine/base/error.h"
#include "engine/image/chain.h"
#include "engine/image/mm_image.h"
#include "engine/memory/parent_content.h"
#include "proto/manifest.pb.h"

namespace cryostat {
class TaskHandle;
}

namespace cryostat::memory {

struct SharedMemoryObject;

class ParentImages {
 public:
  // `path` is relative to `images_dir` or absolute. Checks the whole chain behind it: every record
  // file, every page being there. Errors: as image::Chain::open(); kImages when the chain is as
  // long as can be, or was begun before the machine was started last; kUsage when both folders are
  // the same.
  static Result<ParentImages> open(const std::string& images_dir, const std::string& path);

  const image::Chain& chain() const { return *chain_; }
  const std::string& checkpoint_id() const;
  // For the manifest of the increment.
  pb::Parent as_parent() const;

  const std::vector<image::AddressSpaceImage>& spaces() const { return mm_.spaces; }
  // The address space that `task` had then; nullptr when it had none: it is another process.
  const image::AddressSpaceImage* space_of(const TaskHandle& task) const;
  // What the parent has of the same memory; nothing when it does not know it.
  std::optional<ParentContent> content(const image::AddressSpaceImage& space) const;
  std::optional<ParentContent> content(const SharedMemoryObject& object) const;

 private:
  ParentImages(std::string path, image::Chain chain, image::MmImage mm);

  std::string path_;  // as it was given
  std::unique_ptr<image::Chain> chain_;
  image::MmImage mm_;
};

}  // namespace cryostat::memory
