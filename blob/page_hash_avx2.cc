// The hash for processors with AVX2; nothing else may be compiled here.
#pragma GCC target("avx2")

#include <immintrin.h>

#include "blob/page_hash.h"

#define XXH_INLINE_ALL 1
#define XXH_VECTOR 2  // XXH_AVX2
#include <xxhash.h>

namespace cryostat::blob {

void hash_page_avx2(const void* page, void* sum) {
  XXH128_canonicalFromHash(static_cast<XXH128_canonical_t*>(sum), XXH3_128bits(page, 4096));
}

}  // namespace cryostat::blob
