// Finds the path of a file that somebody watches, from what fdinfo tells of it.
#pragma once

#include <cstdint>
#include <string>

#include "engine/base/error.h"
#include "engine/procfs/mountinfo.h"
#include "engine/procfs/watch_info.h"

namespace cryostat::files {

class CollectContext;

struct WatchedFile {
  std::string path;
  uint32_t mode = 0;  // st_mode
};

// Looks for a path that leads to the inode now: through its handle (open_by_handle_at(2)), or as a
// mount point. kRefused, with the reason only, when none is found; `what` begins it ("inotify
// watch 3").
Result<WatchedFile> find_watched(CollectContext& context, const procfs::WatchedInode& inode,
                                 const std::string& what);

// A mount point of the mount with this id, or of any mount of this file system.
Result<std::string> find_mount(CollectContext& context, int mount_id, const std::string& what);
Result<std::string> find_file_system(CollectContext& context, uint32_t device,
                                     const std::string& what);

}  // namespace cryostat::files
