// Pages that tasks of a tree share copy-on-write: found by their page frame numbers before any is
// stored, and stored once.
//
// A frame number alone proves nothing: the kernel may move a page at any time and give its frame to
// another one. So the tasks are read one after the other, and then those whose pages others have
// too once more: a page that is still where it was has been there all along, also when the other
// task was read. (Moved away and back in between, with the frame lent to a page of another task
// that has left it again, is not ruled out by the kernel, but by what it takes.)
#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <span>
#include <utility>
#include <vector>

#include "engine/base/error.h"
#include "engine/base/unique_fd.h"
#include "engine/memory/frame_index.h"
#include "engine/memory/page_finder.h"
#include "engine/memory/page_transfer.h"

namespace cryostat {
class TaskHandle;
}

namespace cryostat::memory {

struct AddressSpaceState;

// Pages of one task that are, physically, pages of an earlier one.
struct SharedRun {
  uint64_t address = 0;  // bytes, page aligned
  uint32_t page_count = 0;
  PagePlace owner;  // of the first page; the others follow it
  bool operator==(const SharedRun&) const = default;
};

class SharedFrames {
 public:
  // Reads the pages of the next task; tasks are numbered from 0 in this order. Precondition: all
  // threads of all tasks are stopped, from before the first add() until the last page is stored.
  Result<void> add(const TaskHandle& task, const AddressSpaceState& state);
  // After the last task: drops what has moved meanwhile.
  Result<void> settle();

  // Pages that are shared while the kernel does not tell with whom (no CAP_SYS_ADMIN).
  uint64_t hidden_pages() const { return hidden_pages_; }
  // Of task `task`, ascending.
  std::span<const SharedRun> shared(size_t task) const { return tasks_[task].shared; }

  // While pages are stored, task by task and ascending in each: tells where those of `task` went,
  // as far as others have them too. `parent_owner_id`: what in-parent runs of the task mean.
  void remember(size_t task, const StoredRun& run, uint32_t parent_owner_id);

  // Where the pages from `address` on are, at most up to `end`.
  struct Answer {
    uint64_t page_count = 0;  // for how many pages, at least one, this answer holds
    bool known = false;       // false: not stored by anybody yet
    uint64_t page_index = 0;  // of the first; or kZeroPage, or kInParentPage
    // kInParentPage: who has it in the parent checkpoint, and where.
    uint32_t parent_owner_id = 0;
    uint64_t parent_address = 0;
  };
  Answer find(size_t task, uint64_t address, uint64_t end) const;

 private:
  struct Task {
    UniqueFd pagemap;
    std::vector<SharedRun> shared;
    std::vector<StoredRun> stored;  // when it owns pages of others
    uint32_t parent_owner_id = 0;
    bool owns = false;
  };
  using Entries = std::span<const uint64_t>;
  Result<void> read(uint32_t task, std::span<const PageRange> ranges);
  void note(uint32_t task, uint64_t address, Entries entries);
  void share(Task& task, uint64_t address, const PagePlace& owner);
  Result<void> find_moved(uint32_t owner, const std::vector<PageRange>& ranges);
  void drop_moved(Task& task) const;

  std::vector<Task> tasks_;
  FrameIndex frames_;
  uint64_t hidden_pages_ = 0;
  std::set<std::pair<uint32_t, uint64_t>> moved_;  // task and address
  std::vector<uint64_t> entries_;
};

}  // namespace cryostat::memory
