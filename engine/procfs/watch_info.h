// The lines of fdinfo that tell what an inotify instance or a fanotify group watches
// (proc_pid_fdinfo(5)).
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "engine/base/error.h"

namespace cryostat::procfs {

// A file, found again by its handle (open_by_handle_at(2)).
struct WatchedInode {
  uint64_t inode = 0;
  uint32_t device = 0;   // s_dev as the kernel encodes it (major << 20 | minor)
  int handle_type = -1;  // -1: the file system has no handles
  std::string handle;    // bytes
};

// "inotify wd:3 ino:9e7e sdev:800013 mask:800afce ignored_mask:0 fhandle-bytes:8 …"
struct InotifyLine {
  int wd = 0;
  uint32_t mask = 0;
  WatchedInode inode;
};
Result<InotifyLine> parse_inotify_line(std::string_view line);

// "fanotify flags:10 event-flags:0", and a line for each mark: with mnt_id (a mount), with ino and
// a handle (a file), or with sdev alone (a file system).
struct FanotifyLine {
  enum class Sort : uint8_t { kGroup, kInode, kMount, kFileSystem };
  Sort sort = Sort::kGroup;
  uint32_t init_flags = 0;
  uint32_t event_flags = 0;
  int mount_id = -1;
  uint32_t mark_flags = 0;
  uint64_t mask = 0;
  uint64_t ignored_mask = 0;
  WatchedInode inode;
};
Result<FanotifyLine> parse_fanotify_line(std::string_view line);

}  // namespace cryostat::procfs
