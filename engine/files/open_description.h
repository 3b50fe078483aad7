// One open file description of the target (open(2)), as seen from outside.
#pragma once

#include <sys/stat.h>

#include <cstdint>
#include <string>
#include <vector>

#include "engine/base/ids.h"
#include "engine/base/unique_fd.h"
#include "engine/procfs/fdinfo.h"

namespace cryostat {
class TaskHandle;
}

namespace cryostat::files {

// The "table" of a description that no task has a number of: it is in flight, in a message that was
// sent and not yet received.
constexpr uint32_t kNoTable = ~0u;

// A number in the descriptor table of a task of the target.
struct DescriptorSlot {
  RemoteFd fd;
  bool close_on_exec = false;
  uint32_t table = 0;  // of the tables that are collected together, from 0
  // "lock:" lines of its fdinfo: record locks are shown to their owner alone (fcntl_locking(2)).
  std::vector<std::string> locks;
};

// What dup'ed numbers share. Filled from outside; nothing here has changed the target.
struct OpenDescription {
  uint32_t id = 0;                    // from 1; 0 until numbered
  std::vector<DescriptorSlot> slots;  // ascending by table and number, at least one
  const TaskHandle* task = nullptr;   // the task that has the first slot
  struct stat st = {};                // of the object itself, also when it has no name
  std::string link;                   // text of /proc/<pid>/fd/<n>
  procfs::FdInfo info;                // /proc/<pid>/fdinfo/<n>
  uint64_t fs_type = 0;               // statfs(2) f_type, known while its kind collects
  uint32_t flags = 0;                 // F_GETFL: access mode and status flags, no O_CLOEXEC
  int64_t position = 0;
  // In flight: the engine's own descriptor (`task` is the engine then), and where it was found.
  UniqueFd held;
  std::string carrier;  // "fd 5"
  HostPid carrier_pid{0};
  // Our own descriptor of it, valid while its kind collects. Position, flags and content are the
  // target's too: look, don't move.
  UniqueFd copy;

  // A number of it in `task`.
  RemoteFd fd() const { return slots.front().fd; }
  // An O_PATH descriptor: names a place, is not open for anything.
  bool is_path_only() const;
  bool readable() const;
  bool writable() const;
  // Inside "anon_inode:[eventfd]": "eventfd"; empty for other objects.
  std::string anonymous_inode() const;
  // Object of refusals, "fd 7" or "descriptor in flight on fd 5", and the process that has it.
  std::string place() const;
  HostPid holder() const;
  // Object of messages: "fd 7 (/tmp/log)".
  std::string label() const;
};

}  // namespace cryostat::files
