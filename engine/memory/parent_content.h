// What the parent checkpoint has of one owner (an address space, a shared memory object): by
// checksums, without reading its pages.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "engine/image/page_sum.h"
#include "engine/image/pagemap_image.h"

namespace cryostat::image {
class Chain;
}

namespace cryostat::memory {

class ParentContent {
 public:
  // `chain` must outlive it. `owner` is a key of the parent.
  ParentContent(const image::Chain& chain, const image::PagemapImage::Key& owner);

  // The owner_id in the parent.
  uint32_t owner_id() const { return owner_id_; }
  // Does the parent have a page with this checksum at `address`? Fastest when addresses ascend.
  bool same(uint64_t address, const image::PageSum& sum);
  // Does it have a page there that is not zero?
  bool has(uint64_t address) { return find(address) != nullptr; }

 private:
  const image::PageSum* find(uint64_t address);

  const image::Chain* chain_;
  const std::vector<image::PageRun>* runs_;
  uint32_t owner_id_;
  size_t at_ = 0;  // the run of the last address
};

}  // namespace cryostat::memory
