// Forks the target's memory into a process that does not belong to the target.
#pragma once

#include <cstddef>

#include "proto/wire/memory_copy.h"

namespace cryostat::parasite {

// 0, or -errno with `failed_step` set. Afterwards the target has no child it did not have before.
// Precondition: all signals of this thread blocked, all other threads stopped.
int copy_memory(wire::MemoryCopyRequest* request, size_t data_bytes);

}  // namespace cryostat::parasite
