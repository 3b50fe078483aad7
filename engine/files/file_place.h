// Where an open file is: the path that leads to it again.
#pragma once

#include <string>

#include "engine/base/error.h"
#include "engine/files/open_description.h"

namespace cryostat::files {

enum class Presence : uint8_t { kThere, kDeleted };

struct FilePlace {
  std::string path;  // absolute, as the engine sees it; where a deleted file was
  Presence presence = Presence::kThere;
};

// The path of /proc/<pid>/fd/<n>, proven to lead to the same file (device and inode) now. kRefused,
// with the reason only, when nothing leads there: unreachable or too long path, file replaced or
// hidden under a mount, deleted while another hard link keeps it alive.
Result<FilePlace> locate_file(const OpenDescription& description);

// The same for kinds that can't be saved without a name: a deleted object is refused as
// "deleted <what>".
Result<std::string> locate_present(const OpenDescription& description, std::string_view what);

}  // namespace cryostat::files
