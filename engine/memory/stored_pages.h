// Reads page data of a checkpoint in a process being restored.
#pragma once

#include <cstdint>
#include <span>

#include "engine/base/error.h"
#include "engine/memory/store_files.h"

namespace cryostat::memory {

// Fills `to` (whole pages) with pages from `page_index` on and compares them with their checksums.
// kImages when one does not hold.
Result<void> read_stored_pages(const StoreFiles& store, std::span<uint8_t> to, uint64_t page_index);

}  // namespace cryostat::memory
