#include "engine/restore/area.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <string>

#include "engine/base/ids.h"
#include "engine/restore/own_maps.h"

namespace cryostat::restore {
namespace {

// Above the low 4 GiB, which programs linked at fixed addresses like to use.
constexpr uint64_t kLowest = uint64_t{1} << 32;
// TASK_SIZE with four-level page tables; room above it exists only with explicit hints (mmap(2)).
constexpr uint64_t kHighest = (uint64_t{1} << 47) - kPageSize;
// More than the kernel's stack guard gap (1 MiB by default), so that no stack is kept from growing.
constexpr uint64_t kDistance = uint64_t{16} << 20;

}  // namespace

Result<uint64_t> find_area(std::vector<AddressRange> taken, uint64_t size_bytes) {
  std::sort(taken.begin(), taken.end(),
            [](const AddressRange& a, const AddressRange& b) { return a.start < b.start; });
  uint64_t candidate = kLowest;
  for (const AddressRange& range : taken) {
    if (range.start >= kDistance && candidate <= range.start - kDistance &&
        size_bytes <= range.start - kDistance - candidate) {
      break;
    }
    candidate = std::max(candidate, range.end + kDistance);
  }
  if (candidate > kHighest || size_bytes > kHighest - candidate) {
    return fail(
        ErrorKind::kMachine,
        fmt::format("no {} free bytes between the target's mappings for the restorer", size_bytes));
  }
  return candidate;
}

Result<std::vector<AddressRange>> own_ranges() {
  const std::string text = TRY(read_own_maps());
  std::vector<AddressRange> ranges;
  size_t at = 0;
  while (at < text.size()) {
    const size_t end = std::min(text.find('\n', at), text.size());
    const char* line_end = text.data() + end;
    AddressRange range;
    auto first = std::from_chars(text.data() + at, line_end, range.start, 16);
    auto second = std::from_chars(first.ptr + 1, line_end, range.end, 16);
    if (first.ec != std::errc() || *first.ptr != '-' || second.ec != std::errc()) {
      return fail(ErrorKind::kFailed, "unexpected text in /proc/self/maps");
    }
    ranges.push_back(range);
    at = end + 1;
  }
  return ranges;
}

}  // namespace cryostat::restore
