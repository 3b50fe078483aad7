#include "engine/image/page_sum.h"

#include <xxhash.h>

#include <cstring>

#include "engine/base/ids.h"

namespace cryostat::image {

PageSum page_sum(const void* page) {
  XXH128_canonical_t canonical;
  XXH128_canonicalFromHash(&canonical, XXH3_128bits(page, kPageSize));
  PageSum sum;
  static_assert(sizeof(canonical) == sizeof(sum));
  std::memcpy(sum.bytes.data(), canonical.digest, sizeof(sum));
  return sum;
}

}  // namespace cryostat::image
