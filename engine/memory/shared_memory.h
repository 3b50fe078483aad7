// Memory that is an object of its own (anonymous shared mappings, memfds, deleted files that are
// mapped): found during a dump, by identity, so that each is saved once however often it is mapped
// or open.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "engine/base/error.h"
#include "engine/base/unique_fd.h"

namespace cryostat::memory {

enum class SharedMemoryKind : uint8_t { kAnonymousShared, kMemfd, kDeletedFile, kSysv };

struct SharedMemoryObject {
  uint32_t id = 0;  // from 1
  SharedMemoryKind kind = SharedMemoryKind::kAnonymousShared;
  UniqueFd fd;       // a read-only description of our own
  std::string name;  // as in pb::SharedMemory
  uint64_t size_bytes = 0;
  uint32_t seals = 0;
  uint32_t mode = 0;
  uint32_t uid = 0;
  uint32_t gid = 0;
  uint64_t hugetlb_page_size_bytes = 0;  // 0: not hugetlb
  uint64_t device = 0;
  uint64_t inode = 0;
};

class SharedMemoryTable {
 public:
  // The object behind `fd` (any descriptor of it, O_PATH included; not kept): its id, new or known.
  // The object is opened again through /proc/self/fd, so the position of `fd`'s description never
  // moves. `name`: the memfd's name without "/memfd:", or a deleted file's last path; may be
  // empty for anonymous memory. Errors: the object can't be opened for reading.
  Result<uint32_t> intern(int fd, SharedMemoryKind kind, std::string name);

  // 0 when there is no such object.
  uint32_t find(dev_t device, ino_t inode) const;

  // System V segments belong to the target, which lives in an IPC namespace of its own.
  void allow_sysv() { sysv_allowed_ = true; }
  bool sysv_allowed() const { return sysv_allowed_; }
  // By the number of the segment; 0 when there is no such object.
  uint32_t find_sysv(int segment) const;

  const std::vector<SharedMemoryObject>& objects() const { return objects_; }  // id n is n-1

 private:
  std::vector<SharedMemoryObject> objects_;
  std::map<std::pair<dev_t, ino_t>, uint32_t> ids_;
  // Their inode number is that of the segment, which other memory may have as well.
  std::map<int, uint32_t> segments_;
  bool sysv_allowed_ = false;
};

}  // namespace cryostat::memory
