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

// Makes a file without a name in `directory` from the chunks of ghost `id`: content, size, owner,
// mode, times. Open read-write. Nothing is left on disk when this process dies: the file never has
// a name, or (file systems without O_TMPFILE) only until the next system call.
Result<UniqueFd> create_ghost_file(const std::string& directory, uint32_t id,
                                   std::span<const pb::GhostData> chunks, Linkable linkable);

}  // namespace cryostat::files
