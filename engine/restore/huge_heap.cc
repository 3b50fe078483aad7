#include "engine/restore/huge_heap.h"

#include <malloc.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <string_view>

#include "engine/procfs/maps.h"
#include "engine/procfs/task_handle.h"
#include "engine/restore/own_maps.h"

#ifndef MADV_COLLAPSE
#define MADV_COLLAPSE 25
#endif

namespace cryostat::restore {

namespace {

constexpr uint64_t kHugePageBytes = 2 << 20;
// Below, the pages are too few to be worth it.
constexpr uint64_t kManyBytes = 1 << 20;
// Of the heap for each byte in a file, as measured; what is too much is never touched.
constexpr uint64_t kHeapPerByte = 8;
constexpr uint64_t kMostHeapBytes = uint64_t{1} << 30;

void* g_heap_end = nullptr;  // of the prepared one
void* g_filler = nullptr;    // never used, never freed

uint64_t round_up(uint64_t address) {
  return (address + kHugePageBytes - 1) / kHugePageBytes * kHugePageBytes;
}

bool has_huge_pages() {
  const auto dir = ProcDir::open("/sys/kernel/mm/transparent_hugepage");
  const auto text = dir ? dir->read("enabled") : Result<std::string>(tl::unexpected(dir.error()));
  return text && text->find("[never]") == std::string::npos;
}

}  // namespace

void prepare_heap(uint64_t record_bytes) {
  if (record_bytes < kManyBytes || !has_huge_pages()) return;
  const uint64_t heap_bytes = round_up(std::min(record_bytes * kHeapPerByte, kMostHeapBytes));
  // Large blocks too, and one extension for all.
  mallopt(M_MMAP_THRESHOLD, 32 << 20);
  mallopt(M_TRIM_THRESHOLD, 1 << 30);
  mallopt(M_TOP_PAD, static_cast<int>(heap_bytes));
  // The rest of the huge page the heap ends in stays untouched: what comes next is aligned.
  g_filler = std::malloc(2 * kHugePageBytes);
  if (g_filler == nullptr) return;
  const auto filler = reinterpret_cast<uint64_t>(g_filler);
  const uint64_t start = round_up(filler + kHugePageBytes / 2);
  g_filler = std::realloc(g_filler, start - filler - 2 * sizeof(size_t));
  mallopt(M_TOP_PAD, 8 << 20);
  const auto end = reinterpret_cast<uint64_t>(sbrk(0));
  // Not the heap of malloc(3) as we know it.
  if (end <= start || end - start > 2 * heap_bytes + 4 * kHugePageBytes) return;
  if (madvise(reinterpret_cast<void*>(start), end - start, MADV_HUGEPAGE) == 0)
    g_heap_end = reinterpret_cast<void*>(end);
}

void collapse_own_memory() {
  const auto text = read_own_maps();
  if (!text) return;
  const auto areas = procfs::parse_maps(*text);
  if (!areas) return;
  for (const auto& area : *areas) {
    const bool is_heap = area.name == "[heap]" || area.name.empty();
    if (!is_heap || !area.writable || area.shared) continue;
    const uint64_t start = (area.start + kHugePageBytes - 1) / kHugePageBytes * kHugePageBytes;
    const uint64_t end = area.end / kHugePageBytes * kHugePageBytes;
    if (start < end) madvise(reinterpret_cast<void*>(start), end - start, MADV_COLLAPSE);
  }
}

}  // namespace cryostat::restore
