#include "engine/memory/transfer_result.h"

#include <algorithm>
#include <bit>

#include "engine/base/ids.h"
#include "engine/image/format.h"

namespace cryostat::memory {

namespace {

// How many bits from `at` on are like the first, at most `limit`.
uint32_t equal_bits(const uint64_t* bitmap, uint64_t at, uint32_t limit) {
  const bool value = (bitmap[at / 64] >> (at % 64) & 1) != 0;
  uint32_t count = 0;
  while (count < limit) {
    const auto shift = static_cast<uint32_t>((at + count) % 64);
    uint64_t word = bitmap[(at + count) / 64] >> shift;
    if (value) word = ~word;
    const uint32_t here =
        std::min<uint32_t>(static_cast<uint32_t>(std::countr_zero(word)), 64 - shift);
    count += here;
    if (here < 64 - shift) break;
  }
  return std::min(count, limit);
}

}  // namespace

size_t split_runs(std::span<const PageRun> runs, const uint64_t* zero_bitmap, uint64_t first_index,
                  std::vector<StoredRun>& stored) {
  uint64_t index = first_index;
  uint64_t bit = 0;
  for (const PageRun& run : runs) {
    for (uint32_t done = 0; done < run.page_count;) {
      const uint32_t pages = equal_bits(zero_bitmap, bit, run.page_count - done);
      const bool zero = (zero_bitmap[bit / 64] >> (bit % 64) & 1) != 0;
      stored.push_back({run.address + done * kPageSize, zero ? image::kZeroPage : index, pages});
      if (!zero) index += pages;
      bit += pages;
      done += pages;
    }
  }
  return static_cast<size_t>(index - first_index);
}

}  // namespace cryostat::memory
