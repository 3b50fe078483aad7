// mm.img, loaded.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "engine/base/error.h"
#include "proto/ipc.pb.h"
#include "proto/mm.pb.h"

namespace cryostat::image {

class CheckpointReader;

struct AddressSpaceImage {
  pb::AddressSpace space;
  std::vector<pb::Vma> vmas;  // ascending, not overlapping
};

struct MmImage {
  std::vector<AddressSpaceImage> spaces;
  std::vector<pb::MappedFile> files;     // id n is element n-1
  std::vector<pb::SharedMemory> shared;  // id n is element n-1
  std::optional<pb::IpcNamespace> ipc;   // of a target that has one of its own

  // nullptr when there is none.
  const AddressSpaceImage* space(uint32_t id) const;
  // False when its id is taken.
  bool add_space(pb::AddressSpace space);
  // Ids are valid (checked by load_mm) when they come from a Vma of this image.
  const pb::MappedFile& file(uint32_t id) const { return files[id - 1]; }
  const pb::SharedMemory* shared_memory(uint32_t id) const;
  // The bytes of an address space's vDSO.
  const std::string& vdso_image(const pb::AddressSpace& space) const;

 private:
  std::unordered_map<uint32_t, size_t> places_;  // id -> index of `spaces`
};

// Checked: VMA counts, alignment, order and overlap, user address range, file and shared memory
// ids. Errors: kImages.
Result<MmImage> load_mm(const CheckpointReader& reader);

}  // namespace cryostat::image
