// Saves page data during a dump: of address spaces and of shared memory objects.
#pragma once

#include <cstdint>

#include "engine/base/deadline.h"
#include "engine/base/error.h"
#include "engine/base/progress.h"

namespace cryostat {
class TaskHandle;
}
namespace cryostat::image {
class CheckpointWriter;
}

namespace cryostat::memory {

struct AddressSpaceState;
class PageTransfer;
class SharedMemoryTable;

struct PageCounts {
  uint64_t scanned = 0;  // pages that were looked at: present and private to the target
  uint64_t written = 0;
  uint64_t zero = 0;
};

// Writes the pages of all VMAs of `state` and their PageRuns records; guard pages that are found
// are added to the VMAs (so write_address_space() comes after). Memory used is bounded whatever the
// size of the target. `transfer` moves readable pages; others are read through /proc/pid/mem.
// Precondition: all threads stopped. Looks at `stop` between batches.
Result<PageCounts> dump_pages(const TaskHandle& task, AddressSpaceState& state,
                              PageTransfer& transfer, image::CheckpointWriter& writer,
                              const StopRequest& stop, Progress& progress);

// The content of every object of `table`, holes and zero pages left out.
Result<PageCounts> dump_shared_memory(const SharedMemoryTable& table,
                                      image::CheckpointWriter& writer, const StopRequest& stop,
                                      Progress& progress);

}  // namespace cryostat::memory
