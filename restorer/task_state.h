// Puts the state of a whole task back, from inside.
#pragma once

#include "proto/wire/restorer_state.h"

namespace cryostat::restorer {

// What the task uses of membarrier(2). Before there are threads: the kernel then need not wait for
// other processors. Returns as apply_task_state().
int register_barriers(const wire::TaskState& state, uint64_t* detail);

// The leader calls this after all threads exist and before any of them applies its own state:
// signal handlers, permissions for extended registers, seccomp filters common to all threads.
// Precondition: all signals blocked, seccomp suspended by the tracer. Returns 0 or -errno, and then
// names the call in `*detail` (wire::state_detail).
int apply_task_state(const wire::TaskState& state, void* arena, uint64_t* detail);

// The leader calls this after every thread (itself included) has applied its own state, as the last
// thing before the final stop: shared pending signals, timers, limits, dumpable and the like.
int finish_task_state(const wire::TaskState& state, void* arena, uint64_t* detail);

}  // namespace cryostat::restorer
