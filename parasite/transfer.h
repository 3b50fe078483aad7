// Writes pages of the target's own memory into the page store.
#pragma once

#include <cstddef>

namespace cryostat::parasite {

// `data` is a wire::TransferRequest in the data part of the area, with `data_bytes` from there to
// its end; results are written behind it (proto/wire/parasite_transfer.h). Returns 0 or -errno.
// Uses SSE and AVX registers: the caller has saved the extended state of this thread.
int write_pages(void* data, size_t data_bytes);

}  // namespace cryostat::parasite
