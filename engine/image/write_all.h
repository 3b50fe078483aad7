// Whole-buffer writes to image files.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

#include "engine/base/error.h"

namespace cryostat::image {

// Writes all `size` bytes at the file position. Errors name `path`; disk full carries a hint.
Result<void> write_all(int fd, const void* bytes, size_t size, const std::string& path);
// The same at `offset`.
Result<void> pwrite_all(int fd, const void* bytes, size_t size, uint64_t offset,
                        const std::string& path);

}  // namespace cryostat::image
