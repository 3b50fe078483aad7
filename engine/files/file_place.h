// Where an open file is: the path that leads to it again.
#pragma once

#include <string>

#include "engine/base/error.h"
#include "engine/files/open_description.h"

namespace cryostat::files {

// kElsewhere: deleted under this name, but the file has another hard link.
enum class Presence : uint8_t { kThere, kDeleted, kElsewhere };

struct FilePlace {
  std::string path;  // absolute, as the engine sees it; where a deleted file was
  Presence presence = Presence::kThere;
};

// The path of /proc/<pid>/fd/<n>, proven to lead to the same file (device and inode) now. kRefused,
// with the reason only, when nothing leads there: unreachable or too long path, file replaced or
// hidden under a mount.
Result<FilePlace> locate_file(const OpenDescription& description);

// What holds a path: "/" for "/x".
std::string directory_of(const std::string& path);

// The same for kinds that can't be saved without a name: a deleted object is refused as
// "deleted <what>".
Result<std::string> locate_present(const OpenDescription& description, std::string_view what);

// The refusal of a file that only has other names.
Failure refuse_elsewhere(const std::string& path);

}  // namespace cryostat::files
