// Where a physical page was seen first.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace cryostat::memory {

// A page of one of several tasks.
struct PagePlace {
  uint32_t task = 0;     // number the caller gave it
  uint64_t address = 0;  // bytes, page aligned, below 2^47
  bool operator==(const PagePlace&) const = default;
};

// A hash table from page frame numbers (never 0) to places. Memory is bounded: when it is full,
// further frames are not remembered.
class FrameIndex {
 public:
  // At most `max_frames` are remembered, 23 to 46 bytes each.
  explicit FrameIndex(uint64_t max_frames = kDefaultMaxFrames) : max_frames_(max_frames) {}

  // The place `frame` was seen at first; that is `place` when it was not seen before, or when it
  // can't be remembered.
  PagePlace first(uint64_t frame, const PagePlace& place);
  // Was `frame` first seen at `place`?
  bool is_at(uint64_t frame, const PagePlace& place) const;

 private:
  static constexpr uint64_t kDefaultMaxFrames = uint64_t{2} << 20;  // 8 GiB
  struct Slot {
    uint64_t frame = 0;  // 0: free
    uint64_t place = 0;  // packed
  };
  static uint64_t pack(const PagePlace& place);
  static PagePlace unpack(uint64_t packed);
  size_t find(uint64_t frame) const;  // its slot, or the free one it would get
  void grow();

  uint64_t max_frames_;
  uint64_t used_ = 0;
  std::vector<Slot> slots_;  // a power of two, at most 70 % in use
};

}  // namespace cryostat::memory
