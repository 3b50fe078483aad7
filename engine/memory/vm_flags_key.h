// What the bits of a kernel's flag word of a mapping mean, in terms of "VmFlags:" of smaps.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "engine/procfs/maps.h"

namespace cryostat::memory {

// One mapping seen both ways.
struct VmFlagsSample {
  uint64_t word = 0;
  procfs::VmFlags flags;
};

// The bits differ from kernel to kernel and are told nowhere, but the kernel prints each flag for
// one bit of its own. So a flag's bit is among those that are set in exactly the samples that have
// the flag. Bits that no sample tells apart are taken together or not at all.
class VmFlagsKey {
 public:
  explicit VmFlagsKey(std::span<const VmFlagsSample> samples);
  // Nothing when the word has (or lacks) a bit that no sample had (or lacked), some bits only of
  // those that can't be told apart, or a bit whose flag this build doesn't know.
  std::optional<procfs::VmFlags> flags_of(uint64_t word) const;

 private:
  // Bits that were set in the same samples, and the flags printed for just these.
  struct Group {
    uint64_t bits = 0;
    std::vector<procfs::VmFlags::Flag> flags;
    bool seen_set = false;
    bool seen_clear = false;
  };
  std::vector<Group> groups_;
};

}  // namespace cryostat::memory
