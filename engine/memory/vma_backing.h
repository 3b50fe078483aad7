// Finds out what stands behind a mapping that has a file: a file found by path, a shared memory
// object, or something that can't be saved.
#pragma once

#include <sys/stat.h>

#include <cstdint>
#include <map>
#include <string>
#include <tuple>

#include "engine/base/error.h"
#include "engine/base/unique_fd.h"
#include "engine/memory/mapped_file_table.h"
#include "proto/mm.pb.h"

namespace cryostat {
class TaskHandle;
}
namespace cryostat::procfs {
struct SmapsEntry;
}

namespace cryostat::memory {

class SharedMemoryTable;

struct VmaBacking {
  pb::Vma::Backing backing = pb::Vma::ANONYMOUS;
  uint32_t file_id = 0;
  uint32_t shared_memory_id = 0;
  std::string refusal;  // not empty: why it can't be saved
};

class BackingFinder {
 public:
  // All must outlive it.
  BackingFinder(const TaskHandle& task, SharedMemoryTable& shared_memory,
                MappedFileTable& mapped_files, uint64_t ghost_limit_bytes)
      : task_(task),
        shared_memory_(shared_memory),
        mapped_files_(mapped_files),
        ghost_limit_bytes_(ghost_limit_bytes) {}

  // Precondition: `entry` has a file. It is reached through /proc/pid/map_files.
  Result<VmaBacking> find(const procfs::SmapsEntry& entry);
  // The same for /proc/pid/exe.
  Result<VmaBacking> find_exe();

 private:
  // A file of the target: how procfs reaches it, what it is and how it is called.
  struct Subject {
    std::string link;  // below /proc/pid
    std::string path;  // without " (deleted)"
    bool deleted = false;
    uint64_t maps_device = 0;  // st_dev as maps shows it, 0: unknown
    struct stat status = {};
  };
  struct Opened {
    UniqueFd fd;
    std::string path;
    std::string refusal;
  };
  Result<VmaBacking> find_subject(Subject& subject, MappedFileTable::Use use, bool shared);
  Result<VmaBacking> find_object(const Subject& subject, bool shared);
  Result<const Opened*> open_by_path(const Subject& subject);
  Result<VmaBacking> keep_deleted(const Subject& subject);

  const TaskHandle& task_;
  SharedMemoryTable& shared_memory_;
  MappedFileTable& mapped_files_;
  uint64_t ghost_limit_bytes_;
  std::map<std::tuple<dev_t, ino_t, std::string>, Opened> opened_;
  // Files found by path, by what maps shows of them: device, inode, name.
  std::map<std::tuple<uint64_t, uint64_t, std::string>, uint32_t> known_files_;
};

}  // namespace cryostat::memory
