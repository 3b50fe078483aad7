// Turns the memory images into the plan that the restorer blob executes.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <span>

#include "engine/base/error.h"
#include "engine/base/wire_arena.h"
#include "engine/memory/shared_memory_fds.h"
#include "proto/wire/restorer_memory.h"

namespace cryostat::image {
struct AddressSpaceImage;
struct MmImage;
struct PagemapImage;
}  // namespace cryostat::image

namespace cryostat::memory {

// Descriptors of mapped files (and the exe), opened as the mappings need them.
struct MappedFileFds {
  std::map<uint32_t, int> by_id;
  int exe = -1;
};

// Opens every file that `space` maps, and its exe. Runs in the hosted child, before root or
// credentials change. Errors: kMachine with the path.
Result<MappedFileFds> open_mapped_files(const image::MmImage& mm,
                                        const image::AddressSpaceImage& space,
                                        ServiceFds& service_fds);

class StagedMemory;

struct MemoryPlanInput {
  const image::MmImage& mm;
  const image::AddressSpaceImage& space;
  const image::PagemapImage& pagemap;
  const MappedFileFds& files;
  SharedMemoryFds& shared_memory;
  std::span<const StoreFiles> stores;  // with the numbers that their files have in the child
  uint32_t reader_threads;             // 0: as many as are useful
  // What the process has of its memory already, as which node; nullptr: nothing.
  const StagedMemory* staged = nullptr;
  size_t staging_node = 0;
};

// Fills `plan`, with its arrays in `arena`. The blob unmaps everything but the restorer area, so
// whatever of the child must survive (its vDSO and vvar) has to be inside the area by then.
Result<void> fill_memory_plan(const MemoryPlanInput& input, WireArena& arena,
                              wire::MemoryPlan& plan);

// How many threads are to read so much page data; `wanted` 0: as many as are useful.
uint32_t choose_readers(uint32_t wanted, uint64_t bytes);

// Page data that fill_memory_plan() makes the blob read, in bytes.
uint64_t planned_bytes(const image::PagemapImage& pagemap);

}  // namespace cryostat::memory
