// Puts the state of one thread back, from inside.
#pragma once

#include "proto/wire/restorer_state.h"

namespace cryostat::restorer {

// Each thread calls this for itself after the leader's apply_task_state and before the leader's
// finish_task_state. Afterwards the thread may have no privilege left, and an rseq area, a robust
// list and a clear_child_tid address in restored memory. Preconditions: all signals blocked, no
// rseq area registered, seccomp suspended by the tracer, the memory of the target in place. Returns
// 0 or -errno, and then names the call in `*detail` (wire::state_detail).
int apply_thread_state(const wire::ThreadState& state, void* arena, uint64_t* detail);

}  // namespace cryostat::restorer
