#include "engine/memory/frame_index.h"

#include <utility>

#include "engine/base/ids.h"

namespace cryostat::memory {

namespace {
constexpr unsigned kPageNumberBits = 36;
constexpr size_t kFirstSlots = 4096;
}  // namespace

uint64_t FrameIndex::pack(const PagePlace& place) {
  return uint64_t{place.task} << kPageNumberBits | place.address / kPageSize;
}

PagePlace FrameIndex::unpack(uint64_t packed) {
  const uint64_t page = packed & ((uint64_t{1} << kPageNumberBits) - 1);
  return {static_cast<uint32_t>(packed >> kPageNumberBits), page * kPageSize};
}

size_t FrameIndex::find(uint64_t frame) const {
  const size_t mask = slots_.size() - 1;
  // Neighbouring frames in one cache line stay neighbours: a fork's pages are looked up in order.
  size_t at = (frame ^ (frame >> 20) * 0x9e3779b97f4a7c15u) & mask;
  while (slots_[at].frame != 0 && slots_[at].frame != frame) at = (at + 1) & mask;
  return at;
}

void FrameIndex::grow() {
  std::vector<Slot> old = std::move(slots_);
  slots_.assign(old.empty() ? kFirstSlots : old.size() * 2, Slot{});
  for (const Slot& slot : old)
    if (slot.frame != 0) slots_[find(slot.frame)] = slot;
}

PagePlace FrameIndex::first(uint64_t frame, const PagePlace& place) {
  if (used_ * 10 >= slots_.size() * 7) grow();
  Slot& slot = slots_[find(frame)];
  if (slot.frame == frame) return unpack(slot.place);
  if (used_ >= max_frames_ || place.task >= 1u << (64 - kPageNumberBits)) return place;
  slot = {frame, pack(place)};
  ++used_;
  return place;
}

bool FrameIndex::is_at(uint64_t frame, const PagePlace& place) const {
  if (slots_.empty() || frame == 0) return false;
  const Slot& slot = slots_[find(frame)];
  return slot.frame == frame && unpack(slot.place) == place;
}

}  // namespace cryostat::memory
