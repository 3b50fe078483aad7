// Learns which pages of an address space were written since it was armed last.
#pragma once

#include <cstdint>
#include <vector>

#include "engine/base/error.h"
#include "engine/memory/page_finder.h"

namespace cryostat {
class TaskHandle;
}

namespace cryostat::memory {

struct AddressSpaceState;

// What a reading does beside reading.
enum class Arm : uint8_t {
  kLeave,  // what was written so far will be reported again
  kRearm,  // only what is written from now on will be
};

// Whether what the tracker knows is about the parent checkpoint.
enum class Trust : uint8_t { kNothing, kUnchanged };

class DirtyTracker {
 public:
  virtual ~DirtyTracker() = default;

  // The ranges that PageFinder::scan() finds in all of `space`, ascending; `unchanged` is set only
  // with Trust::kUnchanged, and only where the page surely was not written. Mappings that are new,
  // moved, grown or that the mechanism can't watch count as written. Precondition: the task is
  // frozen.
  virtual Result<std::vector<PageRange>> read(const AddressSpaceState& space, Trust trust,
                                              Arm arm) = 0;
};

// What was read, to be gone through later.
class PageList : public PageFinder {
 public:
  explicit PageList(std::vector<PageRange> ranges) : ranges_(std::move(ranges)) {}
  Result<void> scan(const RemoteRange& range, const Visit& visit) override;
  bool skips_gaps() const override { return true; }
  // Of all ranges that are not known to be unchanged.
  uint64_t changed_bytes() const;

 private:
  std::vector<PageRange> ranges_;
};

// "hash" and "none": knows nothing.
class NoTracker : public DirtyTracker {
 public:
  explicit NoTracker(const TaskHandle& task) : task_(task) {}
  Result<std::vector<PageRange>> read(const AddressSpaceState& space, Trust trust,
                                      Arm arm) override;

 private:
  const TaskHandle& task_;
};

}  // namespace cryostat::memory
