// Collects an address space during a dump: every VMA with what stands behind it, and the layout.
#pragma once

#include <cstdint>
#include <functional>
#include <vector>

#include "engine/base/error.h"
#include "engine/base/ids.h"
#include "engine/base/refusals.h"
#include "engine/memory/remote_range.h"
#include "proto/mm.pb.h"

namespace cryostat {
class TaskHandle;
}
namespace cryostat::image {
class CheckpointWriter;
}

namespace cryostat::memory {

class MappedFileTable;
class SharedMemoryTable;
class VdsoImages;
class VmaReader;

struct CollectOptions {
  uint32_t id = 1;            // of the address space in the images
  RemoteRange parasite_area;  // left out; also shows the flags of new mappings (MCL_FUTURE)
  std::vector<RemoteRange> other_areas = {};  // of parasites in tasks that have the same memory
  RemoteAddr current_brk;                     // brk(0) as the target sees it
  uint64_t ghost_limit_bytes = 1 << 20;       // largest deleted file on disk that is saved
  VmaReader* vmas = nullptr;          // was asked for the task's areas; null: smaps is read now
  VdsoImages* vdso_images = nullptr;  // of the address spaces before; null: this is the only one
  // Memory that is write-protected by a userfaultfd: is that our tracker? Empty: no.
  std::function<bool()> is_tracked;
};

struct AddressSpaceState {
  // exe is filled in by write_address_space(). vma_count, layout, vDSO and lock_future are set.
  // dumpable, thp_disabled, memory_merge and mdwe are the parasite's to tell: the caller sets them.
  pb::AddressSpace space;
  std::vector<pb::Vma> vmas;  // ascending
  // For each of `vmas`: private pages present or swapped out, in bytes (an estimate: smaps); where
  // nobody counted them, what they are at most.
  std::vector<uint64_t> private_bytes;
  uint64_t private_total_bytes = 0;  // of all (an estimate)
  // For each of `vmas`: registered with a userfaultfd for write-protection (VmFlags uw).
  std::vector<bool> write_protected;
  uint32_t exe_file_id =
      0;  // in the MappedFileTable; 0: deleted (AddressSpace.exe_shared_memory_id)
};

// Precondition: all threads stopped. What can't be saved goes to `refusals`, one line per VMA.
// Reads only: the target is not touched. Errors: kTargetGone, kPermission (map_files needs
// CAP_CHECKPOINT_RESTORE or CAP_SYS_ADMIN), kFailed.
Result<AddressSpaceState> collect_address_space(const TaskHandle& task,
                                                const CollectOptions& options,
                                                SharedMemoryTable& shared_memory,
                                                MappedFileTable& mapped_files, Refusals& refusals);

// Appends AddressSpace and Vma records; once per address space. Looks at the content of the mapped
// files: the target may run again.
Result<void> write_address_space(const AddressSpaceState& state, MappedFileTable& mapped_files,
                                 image::CheckpointWriter& writer);
// Appends MappedFile and SharedMemory records; once, after all address spaces and descriptors
// are collected.
Result<void> write_memory_objects(MappedFileTable& mapped_files,
                                  const SharedMemoryTable& shared_memory,
                                  image::CheckpointWriter& writer);

}  // namespace cryostat::memory
