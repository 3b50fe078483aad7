// Content of files that were deleted while open: into the image and out of it.
#pragma once

#include <cstdint>
#include <span>
#include <string>

#include "engine/base/error.h"
#include "engine/base/unique_fd.h"

namespace cryostat::image {
class CheckpointWriter;
}
namespace cryostat::pb {
class GhostData;
}

namespace cryostat::files {

struct PendingGhost;

// Appends the GhostData records of one file, at least one; holes are left out.
Result<void> write_ghost(const PendingGhost& ghost, image::CheckpointWriter& writer);

// May the file be given a name later with linkat(2)? As with O_EXCL of O_TMPFILE (open(2)).
enum class Linkable : uint8_t { kYes, kNo };

// Makes a deleted file again from the chunks of ghost `id`: content, size, owner, mode, times. Open
// read-write. It was at `path` and is created there, so that its link in /proc reads as before, or,
// when something else has that name now, in the same directory without a name. A name lasts until
// the next system call: nothing is left on disk when this process dies.
Result<UniqueFd> create_ghost_file(const std::string& path, uint32_t id,
                                   std::span<const pb::GhostData> chunks, Linkable linkable);

}  // namespace cryostat::files
