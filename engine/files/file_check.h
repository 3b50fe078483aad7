// Finds files of a checkpoint again on this machine.
#pragma once

#include <cstdint>
#include <string>

#include "engine/base/error.h"
#include "engine/base/unique_fd.h"

namespace cryostat {
class PlanReport;
}

namespace cryostat::files {

class CheckContext;

// "regular file", "directory", … for an st_mode.
std::string type_name(uint32_t mode);

// Requires that `path` (not followed if it is a symbolic link) exists and is of the type of `mode`.
// Reports each path once; returns whether more can be asked of it (st_size in `size_bytes`).
bool check_type(CheckContext& context, const std::string& path, uint32_t mode, PlanReport& report,
                uint64_t* size_bytes = nullptr);

// Opens `path` with `flags` (O_CLOEXEC added; O_NOATIME only where this user may) and makes sure it
// is of the type of `mode`. kMachine when it is missing or of another type.
Result<UniqueFd> open_same_type(const std::string& path, uint32_t flags, uint32_t mode);

}  // namespace cryostat::files
