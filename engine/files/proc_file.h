// Files below /proc/<pid>: they belong to a process, and come to life with it.
#pragma once

#include <string>

#include "engine/base/error.h"

namespace cryostat::files {

class CollectContext;
struct OpenDescription;

// A file below /proc/<number>.
bool is_process_file(const std::string& path);

// kRefused, with the reason only, when such a file will not be there when descriptors are restored:
// of a process that is not part of the target, of a thread that is not its process's leader, or
// one that the process has lost when it ended (a zombie has no memory).
// Other paths are fine.
Result<void> check_process_file(const CollectContext& context, const OpenDescription& description,
                                const std::string& path);

}  // namespace cryostat::files
