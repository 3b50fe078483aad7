// A thread's own view of its state.
#pragma once

#include "proto/wire/parasite_state.h"

namespace cryostat::parasite {

// Fills `report` and sets `report->done`. Touches general registers only (no SSE), needs less than
// 1 KiB of stack. Precondition: all signals of the thread are blocked, seccomp is suspended.
void collect_thread_state(wire::ThreadStateReport* report);

}  // namespace cryostat::parasite
