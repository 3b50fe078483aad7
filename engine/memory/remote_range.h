// A half-open range of addresses in a target.
#pragma once

#include <cstdint>

namespace cryostat::memory {

struct RemoteRange {
  uint64_t start = 0;  // [start, end)
  uint64_t end = 0;
  bool contains(uint64_t address) const { return address >= start && address < end; }
};

}  // namespace cryostat::memory
