// One open file description of the target (open(2)), as seen from outside.
#pragma once

#include <sys/stat.h>

#include <cstdint>
#include <string>
#include <vector>

#include "engine/base/ids.h"
#include "engine/base/unique_fd.h"
#include "engine/procfs/fdinfo.h"

namespace cryostat::files {

// A number in the target's descriptor table.
struct DescriptorSlot {
  RemoteFd fd;
  bool close_on_exec = false;
};

// What dup'ed numbers share. Filled from outside; nothing here has changed the target.
struct OpenDescription {
  uint32_t id = 0;                    // from 1; 0 until numbered
  std::vector<DescriptorSlot> slots;  // ascending, at least one
  struct stat st = {};                // of the object itself, also when it has no name
  std::string link;                   // text of /proc/<pid>/fd/<n>
  procfs::FdInfo info;                // /proc/<pid>/fdinfo/<n>
  uint64_t fs_type = 0;               // statfs(2) f_type, known while its kind collects
  uint32_t flags = 0;                 // F_GETFL: access mode and status flags, no O_CLOEXEC
  int64_t position = 0;
  // Our own descriptor of it, valid while its kind collects. Position, flags and content are the
  // target's too: look, don't move.
  UniqueFd copy;

  RemoteFd fd() const { return slots.front().fd; }
  // An O_PATH descriptor: names a place, is not open for anything.
  bool is_path_only() const;
  bool readable() const;
  bool writable() const;
  // Inside "anon_inode:[eventfd]": "eventfd"; empty for other objects.
  std::string anonymous_inode() const;
  // Object of messages: "fd 7 (/tmp/log)".
  std::string label() const;
};

}  // namespace cryostat::files
