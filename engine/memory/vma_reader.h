// The mappings of frozen tasks, with their flags.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "engine/base/error.h"
#include "engine/kernel/vma_iterator.h"
#include "engine/memory/smaps_reader.h"
#include "engine/memory/vm_flags_key.h"
#include "engine/procfs/maps.h"

namespace cryostat {
class TaskHandle;
}

namespace cryostat::memory {

// Where the flags of mappings come from. Only smaps prints them, and while it is read the kernel
// counts every page of the task: with 4 KiB pages that takes as long as a fork of its memory.
enum class VmaFlagsFrom : uint8_t {
  kAuto,   // kBpf where smaps would take long and the kernel lets us, else kSmaps
  kSmaps,  // /proc/<pid>/smaps
  kBpf,    // the kernel's flag words by a BPF iterator, the rest from /proc/<pid>/maps
};

class VmaReader {
 public:
  // To be made before the freeze: it starts a thread.
  explicit VmaReader(VmaFlagsFrom from) : from_(from) {}

  // Before the freeze, with the tasks known by then. What stands in the way of kBpf is told in a
  // warning if it was asked for; smaps is read then. Errors: a task could not be looked at.
  Result<void> prepare(std::span<const TaskHandle* const> tasks);
  // Asks for the areas of `task`, which must outlive the reading. Precondition: all its threads are
  // stopped and it has every mapping that is to be seen.
  void request(const TaskHandle& task);
  // The areas of a task, once each, asked for or not. Errors: kTargetGone, kPermission, kFailed.
  Result<std::vector<procfs::SmapsEntry>> take(const TaskHandle& task);

 private:
  Result<bool> is_worth_it(std::span<const TaskHandle* const> tasks) const;
  Result<void> load();
  // Nothing when a flag word can't be read with certainty.
  Result<std::optional<std::vector<procfs::SmapsEntry>>> read_by_bpf(const TaskHandle& task) const;

  const VmaFlagsFrom from_;
  SmapsReader smaps_;
  std::optional<kernel::VmaIterator> iterator_;
  std::optional<VmFlagsKey> key_;  // when there is an iterator
};

}  // namespace cryostat::memory
