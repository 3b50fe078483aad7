// Directories that were deleted while somebody was in them or had them open.
#pragma once

#include <sys/types.h>

#include <string>

#include "engine/base/error.h"
#include "engine/base/unique_fd.h"

namespace cryostat {

struct DirectoryAttributes {
  mode_t mode = 0;  // permission bits are used
  uid_t uid = 0;
  gid_t gid = 0;
};

// Makes an empty directory at `path`, or beside it when something else is there now, opens it with
// `flags` (O_DIRECTORY | O_CLOEXEC added) and removes it again. kMachine when the directory it was
// in is missing.
Result<UniqueFd> create_deleted_directory(const std::string& path,
                                          const DirectoryAttributes& attributes, int flags);

}  // namespace cryostat
