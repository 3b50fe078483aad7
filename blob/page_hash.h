// XXH3-128 of a page, compiled once for each vector width; pick_page_hash() chooses at run time.
#pragma once

namespace cryostat::blob {

// Writes the 16 bytes of the canonical XXH3-128 (seed 0) of the 4096 bytes at `page`.
using PageHash = void (*)(const void* page, void* sum);

void hash_page_sse2(const void* page, void* sum);
void hash_page_avx2(const void* page, void* sum);

// The widest that processor and kernel (XCR0) support. AVX-512 was measured and left out: the hash
// is bound by memory already with AVX2.
PageHash pick_page_hash();

}  // namespace cryostat::blob
