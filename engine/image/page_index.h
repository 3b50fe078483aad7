// Finds pages of a store again by their content.
#pragma once

#include <cstdint>
#include <functional>
#include <vector>

#include "engine/image/page_sum.h"

namespace cryostat::image {

// A hash table from the first half of a page's sum to its index. Memory is bounded: when it is
// full, further pages are stored without being remembered. Who looks a page up compares the bytes:
// equal sums alone are no proof.
class PageIndex {
 public:
  // At most `max_pages` are remembered, 23 bytes each.
  explicit PageIndex(uint64_t max_pages = kDefaultMaxPages) : max_pages_(max_pages) {}

  static constexpr uint64_t kNone = ~uint64_t{0};
  // The first page with this sum for which `same(index)` is true, or kNone.
  template <typename Same>
  uint64_t find(const PageSum& sum, const Same& same) const {
    if (slots_.empty()) return kNone;
    const uint64_t key = key_of(sum);
    for (uint64_t at = key & mask();; at = (at + 1) & mask()) {
      const Slot& slot = slots_[at];
      if (slot.key == 0) return kNone;
      if (slot.key == key && same(slot.index)) return slot.index;
    }
  }
  void add(const PageSum& sum, uint64_t index);
  uint64_t size() const { return used_; }

 private:
  static constexpr uint64_t kDefaultMaxPages = uint64_t{4} << 20;  // 16 GiB of different pages
  struct Slot {
    uint64_t key = 0;  // 0: free
    uint64_t index = 0;
  };
  static uint64_t key_of(const PageSum& sum);
  uint64_t mask() const { return slots_.size() - 1; }
  void put(uint64_t key, uint64_t index);
  void grow();

  uint64_t max_pages_;
  uint64_t used_ = 0;
  std::vector<Slot> slots_;  // a power of two, at most 70 % in use
};

}  // namespace cryostat::image
