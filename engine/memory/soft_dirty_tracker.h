// The tracker that reads and clears soft-dirty bits (CONFIG_MEM_SOFT_DIRTY;
// Documentation/admin-guide/mm/soft-dirty.rst).
#pragma once

#include "engine/memory/dirty_tracker.h"

namespace cryostat::memory {

class SoftDirtyTracker : public DirtyTracker {
 public:
  explicit SoftDirtyTracker(const TaskHandle& task) : task_(task) {}

  // The kernel marks new and moved mappings as a whole. There is one set of bits for everybody: who
  // else writes /proc/pid/clear_refs makes us miss writes.
  Result<std::vector<PageRange>> read(const AddressSpaceState& space, Trust trust,
                                      Arm arm) override;

 private:
  const TaskHandle& task_;
};

}  // namespace cryostat::memory
