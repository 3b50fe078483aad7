#include "engine/memory/vm_flags_key.h"

#include <algorithm>
#include <map>

namespace cryostat::memory {

using procfs::VmFlags;

VmFlagsKey::VmFlagsKey(std::span<const VmFlagsSample> samples) {
  using Column = std::vector<bool>;  // one truth for each sample
  std::map<Column, Group> groups;
  const auto group_of = [&](auto&& is_set) -> Group& {
    Column column;
    for (const VmFlagsSample& sample : samples) column.push_back(is_set(sample));
    Group& group = groups[column];
    group.seen_set = std::ranges::find(column, true) != column.end();
    group.seen_clear = std::ranges::find(column, false) != column.end();
    return group;
  };
  for (unsigned bit = 0; bit < 64; ++bit) {
    const uint64_t mask = uint64_t{1} << bit;
    group_of([&](const VmFlagsSample& sample) { return (sample.word & mask) != 0; }).bits |= mask;
  }
  for (unsigned number = 0; number <= VmFlags::kUnknown; ++number) {
    const auto flag = static_cast<VmFlags::Flag>(number);
    group_of([&](const VmFlagsSample& sample) {
      return sample.flags.has(flag);
    }).flags.push_back(flag);
  }
  for (auto& [column, group] : groups) groups_.push_back(std::move(group));
}

std::optional<VmFlags> VmFlagsKey::flags_of(uint64_t word) const {
  VmFlags flags;
  for (const Group& group : groups_) {
    const uint64_t bits = word & group.bits;
    if (bits != 0 && bits != group.bits) return std::nullopt;
    if (group.bits == 0) {
      // Flags of no bit: the samples are not to be trusted, unless they never had them.
      if (group.seen_set) return std::nullopt;
      continue;
    }
    if (bits == 0) {
      if (!group.seen_clear) return std::nullopt;
      continue;
    }
    if (!group.seen_set) return std::nullopt;
    for (const VmFlags::Flag flag : group.flags) flags.set(flag);
  }
  if (flags.has(VmFlags::kUnknown)) return std::nullopt;
  return flags;
}

}  // namespace cryostat::memory
