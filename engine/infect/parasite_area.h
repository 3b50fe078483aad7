// Where everything lies in the parasite's mapping.
#pragma once

#include <cstddef>
#include <cstdint>

#include "blob/parasite_blob.h"
#include "engine/base/ids.h"
#include "proto/wire/parasite.h"

namespace cryostat {

// blob text | blob data | header | data part | stack | thread slots; each starts on a page
// boundary.
struct ParasiteArea {
  // Threads report their state in rounds: slots are used again, so a thousand threads touch no more
  // memory than one round does, and two processors are busy all the same.
  static constexpr size_t kMaxSlots = 128;

  RemoteAddr start;
  size_t slots = 0;

  static size_t header_offset() { return parasite_blob::image().bytes.size(); }
  static size_t data_offset() {
    return header_offset() + page_align_up(sizeof(wire::ParasiteHeader));
  }
  static size_t stack_end_offset() {
    return data_offset() + wire::kParasiteDataBytes + wire::kParasiteStackBytes;
  }
  size_t size_bytes() const { return stack_end_offset() + slots * sizeof(wire::ThreadSlot); }

  RemoteAddr end() const { return start + size_bytes(); }
  RemoteAddr header() const { return start + header_offset(); }
  RemoteAddr data() const { return start + data_offset(); }
  RemoteAddr stack_top() const { return start + stack_end_offset(); }
  RemoteAddr slot(size_t index) const {
    return start + stack_end_offset() + index * sizeof(wire::ThreadSlot);
  }
};
static_assert(sizeof(wire::ThreadSlot) % kPageSize == 0);
static_assert(wire::kParasiteDataBytes % kPageSize == 0 &&
              wire::kParasiteStackBytes % kPageSize == 0);

}  // namespace cryostat
