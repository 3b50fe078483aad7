// Builds the arena of plain data that a blob receives (proto/wire/span.h): a growing byte buffer in
// which arrays are appended and referred to by offset.
#pragma once

#include <cstring>
#include <span>
#include <string_view>
#include <type_traits>
#include <vector>

#include "proto/wire/span.h"

namespace cryostat {

class WireArena {
 public:
  // Reserves `count` zeroed elements, 16-byte aligned (wider if T needs it). The returned span
  // stays valid; pointers from at() only until the next call that grows the arena.
  template <typename T>
  wire::WireSpan<T> reserve(size_t count) {
    static_assert(std::is_trivially_copyable_v<T>);
    constexpr size_t kAlign = alignof(T) > 16 ? alignof(T) : 16;
    const size_t offset = (bytes_.size() + kAlign - 1) / kAlign * kAlign;
    bytes_.resize(offset + count * sizeof(T));
    return {offset, count};
  }
  template <typename T>
  wire::WireSpan<T> append(std::span<const T> items) {
    const auto span = reserve<T>(items.size());
    if (!items.empty())
      std::memcpy(bytes_.data() + span.offset_bytes, items.data(), items.size_bytes());
    return span;
  }
  template <typename T>
  wire::WireSpan<T> append(const std::vector<T>& items) {
    return append(std::span<const T>(items));
  }
  // NUL-terminated; count includes the NUL.
  wire::WireSpan<char> append_string(std::string_view text) {
    const auto span = reserve<char>(text.size() + 1);
    std::memcpy(bytes_.data() + span.offset_bytes, text.data(), text.size());
    return span;
  }
  template <typename T>
  T* at(const wire::WireSpan<T>& span) {
    return reinterpret_cast<T*>(bytes_.data() + span.offset_bytes);
  }
  std::span<const unsigned char> bytes() const { return bytes_; }

 private:
  std::vector<unsigned char> bytes_;
};

}  // namespace cryostat
