// The checksum of one page of pages.img.
#pragma once

#include <array>
#include <cstdint>

namespace cryostat::image {

// XXH3-128 (seed 0) of the 4096 bytes, in XXH128_canonicalFromHash order (big endian, high half
// first).
struct PageSum {
  std::array<uint8_t, 16> bytes;
  bool operator==(const PageSum&) const = default;
};
static_assert(sizeof(PageSum) == 16);

// `page` is kPageSize readable bytes.
PageSum page_sum(const void* page);

}  // namespace cryostat::image
