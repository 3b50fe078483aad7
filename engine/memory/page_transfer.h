// Moves page data from the target into the page store: the two mechanisms behind one interface.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "engine/base/error.h"
#include "engine/base/ids.h"

namespace cryostat {
class InfectedTask;
class TaskHandle;
}  // namespace cryostat
namespace cryostat::image {
class PageStoreWriter;
}

namespace cryostat::memory {

class ParentContent;

// Consecutive pages of one VMA (or of one shared memory object).
struct PageRun {
  uint64_t address = 0;  // bytes, page aligned
  uint32_t page_count = 0;
  bool operator==(const PageRun&) const = default;
};

// Pages that were stored, or found to be zero.
struct StoredRun {
  uint64_t address = 0;
  uint64_t page_index = 0;  // in pages.img, image::kZeroPage or image::kInParentPage
  uint32_t page_count = 0;
  bool operator==(const StoredRun&) const = default;
};

class PageTransfer {
 public:
  virtual ~PageTransfer() = default;
  // "parasite" or "vm-readv", for statistics.
  virtual const char* name() const = 0;
  // Stores the pages of `runs` (at most wire::kTransferMaxRuns runs of wire::kTransferMaxPages
  // pages in all) and appends where they went to `stored`, in order. Errors: the target is gone;
  // disk full.
  virtual Result<void> move(std::span<const PageRun> runs, std::vector<StoredRun>& stored) = 0;
  // From now on pages that `parent` (which must outlive that) has at the same address are not
  // stored but become in-parent runs. nullptr: no more.
  virtual void compare_with(ParentContent* parent) = 0;
};

// The parasite writes its own pages into pages.img; where limits of the target forbid that, it goes
// on as vm-readv. `task` (with pid `pid`) and `store` must outlive it. Preconditions: every page is
// readable by the target, task.can_receive_fds().
Result<std::unique_ptr<PageTransfer>> make_parasite_transfer(InfectedTask& task, HostPid pid,
                                                             image::PageStoreWriter& store);
// process_vm_readv into a buffer of the engine, then pwrite. Precondition: readable pages.
Result<std::unique_ptr<PageTransfer>> make_vm_readv_transfer(HostPid pid,
                                                             image::PageStoreWriter& store);
// What becomes of a page that is not there any more.
enum class Vanished : uint8_t {
  kFails,  // the target is frozen: that can't be
  kSkip,   // the target runs: it is left out
};
// pread of /proc/pid/mem, which ignores protection; for PROT_NONE and execute-only VMAs, and for
// running targets.
Result<std::unique_ptr<PageTransfer>> make_forced_transfer(const TaskHandle& task,
                                                           image::PageStoreWriter& store,
                                                           Vanished vanished = Vanished::kFails);

}  // namespace cryostat::memory
