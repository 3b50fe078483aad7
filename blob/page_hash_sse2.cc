// The baseline: every x86_64 processor has SSE2.
#include <cpuid.h>

#include <cstdint>

#include "blob/page_hash.h"

#define XXH_INLINE_ALL 1
#include <xxhash.h>

namespace cryostat::blob {

namespace {

constexpr unsigned kOsXsave = 1u << 27;  // CPUID.1:ECX
constexpr unsigned kAvx2 = 1u << 5;      // CPUID.7:EBX
constexpr uint64_t kXcr0Avx = 0x6;       // SSE and AVX state

uint64_t read_xcr0() {
  uint32_t low;
  uint32_t high;
  asm volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
  return (uint64_t{high} << 32) | low;
}

}  // namespace

void hash_page_sse2(const void* page, void* sum) {
  XXH128_canonicalFromHash(static_cast<XXH128_canonical_t*>(sum), XXH3_128bits(page, 4096));
}

PageHash pick_page_hash() {
  unsigned a;
  unsigned b;
  unsigned c;
  unsigned d;
  if (__get_cpuid(1, &a, &b, &c, &d) == 0 || (c & kOsXsave) == 0) return hash_page_sse2;
  const uint64_t xcr0 = read_xcr0();
  if (__get_cpuid_count(7, 0, &a, &b, &c, &d) == 0) return hash_page_sse2;
  if ((b & kAvx2) != 0 && (xcr0 & kXcr0Avx) == kXcr0Avx) return hash_page_avx2;
  return hash_page_sse2;
}

}  // namespace cryostat::blob
