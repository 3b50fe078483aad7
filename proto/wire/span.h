// Data handed to a blob lies in one contiguous arena; parts of it refer to each other by byte
// offset from the start of the arena, so that the arena can be built anywhere and copied.
#pragma once

#include <cstdint>

namespace cryostat::wire {

// `count` elements of T at `offset_bytes` from the start of the arena.
template <typename T>
struct WireSpan {
  uint64_t offset_bytes = 0;
  uint64_t count = 0;

  // Precondition: `arena` is the start of the arena the span was built in.
  const T* in(const void* arena) const {
    return reinterpret_cast<const T*>(static_cast<const char*>(arena) + offset_bytes);
  }
  T* in(void* arena) const {
    return reinterpret_cast<T*>(static_cast<char*>(arena) + offset_bytes);
  }
};
static_assert(sizeof(WireSpan<char>) == 16);

}  // namespace cryostat::wire
