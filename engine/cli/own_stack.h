// The stack a tool needs for itself, whatever limit its caller left it.
#pragma once

#include "engine/base/error.h"

namespace cryostat::cli {

// Raises the soft RLIMIT_STACK of this process towards what is usual, as far as the hard limit
// allows (a stack grows into a limit that was raised after its start, setrlimit(2)), and gives
// threads the stack they have by default elsewhere. kMachine when the hard limit is too small to
// work with. What a restored task has comes from its checkpoint. Call before any thread.
Result<void> ensure_stack();

}  // namespace cryostat::cli
