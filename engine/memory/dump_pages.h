// Saves page data during a dump: of address spaces and of shared memory objects.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "engine/base/deadline.h"
#include "engine/base/error.h"
#include "engine/base/progress.h"
#include "engine/base/rate_limit.h"

namespace cryostat {
class TaskHandle;
}
namespace cryostat::image {
class CheckpointWriter;
}
namespace cryostat::pb {
class DumpStats;
}

namespace cryostat::memory {

struct AddressSpaceState;
class PageFinder;
class PageTransfer;
class ParentContent;
class ParentImages;
class SharedFrames;
class SharedMemoryTable;
struct StoredRun;

struct PageCounts {
  uint64_t scanned = 0;  // pages that were looked at: present and private to the target
  uint64_t written = 0;
  uint64_t zero = 0;
  uint64_t shared = 0;     // physically those of an earlier task, which has stored them
  uint64_t unchanged = 0;  // left to the parent
  // PageChanges::verify: unlike the parent though the finder said unchanged (they are written), and
  // like it though it did not.
  uint64_t missed = 0;
  uint64_t overreported = 0;

  PageCounts& operator+=(const PageCounts& other);
};

// Into the fields of the statistics.
void describe_counts(const PageCounts& counts, pb::DumpStats& stats);

// What an increment knows of the memory it saves; nothing for a full dump.
struct PageChanges {
  PageFinder* finder = nullptr;     // nullptr: a PageScanner
  ParentContent* parent = nullptr;  // pages are compared with what it has
  uint32_t parent_owner_id = 0;     // what unchanged ranges mean by the parent
  bool verify = false;              // compare unchanged ranges too
  bool running = false;             // the target is not frozen: pages may vanish, or be torn
};

// What other tasks of the tree have of the same pages.
struct TreePages {
  SharedFrames* frames = nullptr;  // nullptr: nothing is known of other tasks
  size_t task = 0;                 // its number there
};

// When memory is written in two parts: what the second is read from.
enum class SecondPart : uint8_t {
  kFromCopy,     // a fork of the memory (engine/infect/memory_copy.h)
  kFromRunning,  // the target, which runs again
};

// Where pages are taken from.
struct PageSource {
  const TaskHandle& task;  // the target, or the copy of its memory; all its threads stopped
  PageTransfer& transfer;  // of the same task; moves readable pages, others come from /proc/pid/mem
  RateLimit* limit = nullptr;  // how fast; nullptr: as fast as it goes
  PageChanges changes = {};
  TreePages tree = {};
  SecondPart second_part = SecondPart::kFromCopy;
};

// Writes the pages of all VMAs of `state` and their PageRuns records; guard pages that are found
// are added to the VMAs (so write_address_space() comes after). Memory used is bounded whatever the
// size of the target. Looks at `stop` between batches.
Result<PageCounts> dump_pages(const PageSource& source, AddressSpaceState& state,
                              image::CheckpointWriter& writer, const StopRequest& stop,
                              Progress& progress);

// The same in two parts. First, with the target as source and still frozen, what the second part
// leaves out (of a copy: what fork(2) does; of the running target: what it may not read itself, as
// newer kernels show that to a tracer alone): pages are stored, their runs are appended to
// `left_out` and not written yet.
Result<PageCounts> dump_left_out_pages(const PageSource& source, AddressSpaceState& state,
                                       image::CheckpointWriter& writer, const StopRequest& stop,
                                       Progress& progress, std::vector<StoredRun>& left_out);
// Then the rest; writes the PageRuns records of both.
Result<PageCounts> dump_remaining_pages(const PageSource& source, AddressSpaceState& state,
                                        std::span<const StoredRun> left_out,
                                        image::CheckpointWriter& writer, const StopRequest& stop,
                                        Progress& progress);
// True when there is something for the first part.
bool leaves_out(SecondPart second_part, const AddressSpaceState& state);

// The content of every object of `table`, holes and zero pages left out, and what `parent` (may be
// nullptr) has of the same object.
Result<PageCounts> dump_shared_memory(const SharedMemoryTable& table, const ParentImages* parent,
                                      image::CheckpointWriter& writer, const StopRequest& stop,
                                      Progress& progress);

}  // namespace cryostat::memory
