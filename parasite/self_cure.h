// The parasite's own way back to what its thread was doing, for when the engine is gone.
#pragma once

#include <cstddef>

#include "proto/wire/parasite.h"

namespace cryostat::parasite {

// Fills `frame` (kSignalFrameBytes, 64-byte aligned) so that rt_sigreturn(2) brings back `origin`
// and the extended state the thread has now. Precondition: no vector register was changed.
void prepare_frame(unsigned char* frame, const wire::ThreadOrigin& origin,
                   const wire::XsaveLayout& xsave);

// Unmaps the whole area from a return stub outside of it and goes on at the origin: nothing of the
// parasite is left. Precondition: frame prepared.
[[noreturn]] void return_through_stub(wire::ParasiteHeader* header);

// Unmaps [unmap_start, unmap_start + unmap_bytes), which may hold the stack, and returns to the
// origin of `frame`. An empty range is left alone.
[[noreturn]] void return_to_origin(unsigned char* frame, unsigned char* unmap_start,
                                   size_t unmap_bytes);

}  // namespace cryostat::parasite
