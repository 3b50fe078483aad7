#include "engine/memory/page_sink.h"

#include <emmintrin.h>

#include <cstring>

#include "engine/base/ids.h"
#include "engine/image/format.h"
#include "engine/image/page_store_writer.h"
#include "engine/memory/parent_content.h"

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

bool PageSink::is_stored(uint64_t place) {
  return place != image::kZeroPage && place != image::kInParentPage;
}

// Where a page goes: kZeroPage, kInParentPage, `index` (the next one of the store), or the place of
// one like it.
Result<uint64_t> PageSink::place_of(const uint8_t* page, uint64_t address, uint64_t index) {
  if (is_zero_page(page)) return image::kZeroPage;
  if (parent_ == nullptr && !store_.dedups()) return index;
  const image::PageSum sum = image::page_sum(page);
  if (parent_ != nullptr && parent_->same(address, sum)) return image::kInParentPage;
  if (store_.dedups()) {
    if (const auto same = TRY(store_.find_same(page, sum, buffer_.get()))) return *same;
    store_.remember(sum, index);
  }
  if (parent_ != nullptr) sums_.push_back(sum);
  return index;
}

Result<void> PageSink::store(std::span<const PageRun> runs, std::vector<StoredRun>& stored) {
  uint8_t* from = buffer_.get();
  uint8_t* to = buffer_.get();  // pages that are kept move down over the others
  uint64_t next = store_.next_index();
  sums_.clear();
  for (const PageRun& run : runs) {
    StoredRun last;
    for (uint32_t i = 0; i < run.page_count; ++i, from += kPageSize) {
      const uint64_t address = run.address + i * kPageSize;
      const uint64_t place = TRY(place_of(from, address, next));
      const uint64_t follows =
          is_stored(last.page_index) ? last.page_index + last.page_count : last.page_index;
      if (last.page_count == 0 || place != follows) {
        if (last.page_count > 0) stored.push_back(last);
        last = {address, place, 0};
      }
      ++last.page_count;
      if (place != next) continue;
      if (to != from) std::memcpy(to, from, kPageSize);
      to += kPageSize;
      ++next;
    }
    if (last.page_count > 0) stored.push_back(last);
  }
  const std::span<const uint8_t> pages(buffer_.get(), to);
  if (pages.empty()) return {};
  if (parent_ == nullptr)
    TRY(store_.append_pages(pages));
  else
    TRY(store_.append_pages(pages, sums_));
  return {};
}

}  // namespace cryostat::memory
