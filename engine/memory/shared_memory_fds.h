// Re-creates shared memory objects during a restore, content included.
#pragma once

#include <fcntl.h>

#include <cstdint>
#include <span>
#include <vector>

#include "engine/base/error.h"
#include "engine/base/service_fds.h"
#include "engine/base/unique_fd.h"
#include "engine/memory/store_files.h"
#include "proto/mm.pb.h"

namespace cryostat::image {
struct MmImage;
struct PagemapImage;
}  // namespace cryostat::image

namespace cryostat::memory {

// A memfd with seals that are to be put on when everything is mapped. One that is executed is
// sealed as soon as it is filled: later it could not be opened for that any more (ETXTBSY).
bool is_sealed_last(const image::MmImage& mm, const pb::SharedMemory& object);

// Descriptors of the objects, in a process that is being restored.
class SharedMemoryFds {
 public:
  // `service_fds` must outlive the object.
  explicit SharedMemoryFds(ServiceFds& service_fds) : service_fds_(&service_fds) {}

  // Creates and fills an object of `mm`, with checksums verified, and returns a descriptor that
  // holds it (O_PATH). Seals are set later, unless it is executed (is_sealed_last). Runs in the
  // hosted child.
  Result<int> create(const image::MmImage& mm, const image::PagemapImage& pagemap,
                     std::span<const StoreFiles> stores, uint32_t id);
  // Takes over a descriptor of an object that another task has created.
  Result<void> adopt(uint32_t id, UniqueFd path);

  // Open read-write, position 0, valid until the restorer closes it; dup or reopen it
  // ("/proc/self/fd/N") as needed. Opened on first use: a file that is open for writing can't
  // become an exe. kImages when there is no such object.
  Result<int> read_write(uint32_t id) { return open_as(id, O_RDWR); }
  // Open read-only.
  Result<int> read_only(uint32_t id) { return open_as(id, O_RDONLY); }

 private:
  struct Entry {
    uint32_t id;
    int path;  // O_PATH: holds the object
    int read_write = -1;
    int read_only = -1;
  };
  Result<int> open_as(uint32_t id, int mode);

  std::vector<Entry> entries_;
  ServiceFds* service_fds_;
};

}  // namespace cryostat::memory
