// Entries of /proc/<pid>/pagemap: one for each page, mapped or not.
#pragma once

#include <cstdint>
#include <span>

#include "engine/base/error.h"

namespace cryostat::memory {

// Fills `entries` with those of the pages from `address` (page aligned) on; `pagemap` is the open
// file. Bits: proc_pid_pagemap(5), engine/kernel/pagemap_scan.h. Errors: nothing to fill, the
// target is gone, or the pages lie beyond the end of its address space.
Result<void> read_pagemap_entries(int pagemap, uint64_t address, std::span<uint64_t> entries);

}  // namespace cryostat::memory
