#include "engine/restore/huge_heap.h"

#include <sys/mman.h>

#include "engine/procfs/maps.h"
#include "engine/restore/own_maps.h"

#ifndef MADV_COLLAPSE
#define MADV_COLLAPSE 25
#endif

namespace cryostat::restore {

namespace {
constexpr uint64_t kHugePageBytes = 2 << 20;
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
