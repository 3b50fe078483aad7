#include "engine/image/page_index.h"

#include <cstring>
#include <utility>

namespace cryostat::image {

uint64_t PageIndex::key_of(const PageSum& sum) {
  uint64_t key = 0;
  static_assert(sizeof(sum) >= sizeof(key));
  std::memcpy(&key, &sum, sizeof(key));
  return key != 0 ? key : 1;
}

void PageIndex::put(uint64_t key, uint64_t index) {
  uint64_t at = key & mask();
  while (slots_[at].key != 0) at = (at + 1) & mask();
  slots_[at] = {key, index};
}

void PageIndex::grow() {
  std::vector<Slot> old = std::move(slots_);
  slots_ = std::vector<Slot>(old.empty() ? 4096 : old.size() * 2);
  for (const Slot& slot : old)
    if (slot.key != 0) put(slot.key, slot.index);
}

void PageIndex::add(const PageSum& sum, uint64_t index) {
  if (used_ >= max_pages_) return;
  if ((used_ + 1) * 10 > slots_.size() * 7) grow();
  put(key_of(sum), index);
  ++used_;
}

}  // namespace cryostat::image
