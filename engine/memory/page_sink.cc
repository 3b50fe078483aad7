#include "engine/memory/page_sink.h"

#include <emmintrin.h>

#include <cstring>

#include "engine/base/ids.h"
#include "engine/image/format.h"
#include "engine/image/page_store_writer.h"

namespace cryostat::memory {

bool is_zero_page(const void* page) {
  const auto* at = static_cast<const __m128i*>(page);
  const __m128i zero = _mm_setzero_si128();
  for (uint32_t i = 0; i < kPageSize / sizeof(__m128i); i += 4) {
    const __m128i bits =
        _mm_or_si128(_mm_or_si128(_mm_loadu_si128(at + i), _mm_loadu_si128(at + i + 1)),
                     _mm_or_si128(_mm_loadu_si128(at + i + 2), _mm_loadu_si128(at + i + 3)));
    if (_mm_movemask_epi8(_mm_cmpeq_epi8(bits, zero)) != 0xffff) return false;
  }
  return true;
}

PageSink::PageSink(image::PageStoreWriter& store)
    : store_(store),
      buffer_(static_cast<uint8_t*>(std::aligned_alloc(kPageSize, kBufferPages * kPageSize))) {}
PageSink::~PageSink() = default;

// Where a page that is not zero goes: `index`, the next one of the store, or that of one like it.
Result<uint64_t> PageSink::place_of(const uint8_t* page, uint64_t index) {
  if (!store_.dedups()) return index;
  const image::PageSum sum = image::page_sum(page);
  if (const auto same = TRY(store_.find_same(page, sum, buffer_.get()))) return *same;
  store_.remember(sum, index);
  return index;
}

Result<void> PageSink::store(std::span<const PageRun> runs, std::vector<StoredRun>& stored) {
  uint8_t* from = buffer_.get();
  uint8_t* to = buffer_.get();  // pages that are kept move down over the zero ones
  uint64_t index = store_.next_index();
  for (const PageRun& run : runs) {
    StoredRun last;
    for (uint32_t i = 0; i < run.page_count; ++i, from += kPageSize) {
      const uint64_t place = is_zero_page(from) ? image::kZeroPage : TRY(place_of(from, index));
      const uint64_t follows = last.page_index == image::kZeroPage
                                   ? image::kZeroPage
                                   : last.page_index + last.page_count;
      if (last.page_count == 0 || place != follows) {
        if (last.page_count > 0) stored.push_back(last);
        last = {run.address + i * kPageSize, place, 0};
      }
      ++last.page_count;
      if (place != index) continue;
      if (to != from) std::memcpy(to, from, kPageSize);
      to += kPageSize;
      ++index;
    }
    if (last.page_count > 0) stored.push_back(last);
  }
  if (to > buffer_.get())
    TRY(store_.append_pages({buffer_.get(), static_cast<size_t>(to - buffer_.get())}));
  return {};
}

}  // namespace cryostat::memory
