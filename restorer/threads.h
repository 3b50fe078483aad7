// Threads made by the restorer: the target's own, and short-lived ones that help to fill memory.
#pragma once

#include <cstdint>

#include "proto/wire/restorer.h"

namespace cryostat::restorer {

// A helper thread that shares everything with its maker and is not traced. Meant for the time
// before the target's threads exist; join it before it goes out of scope.
struct Helper {
  // Cleared by the kernel (and woken as a futex) when the helper is gone; not 0 while it runs.
  volatile uint32_t alive = 0;
};

// Starts `function(argument)` on helper stack number `index` (< wire::kMaxHelpers; each at a time
// used by one helper). 0 or -errno. The function runs without thread-local storage, all signals but
// SIGTRAP blocked.
int start_helper(const wire::RestorerPlan& plan, uint32_t index, void (*function)(void*),
                 void* argument, Helper& helper);

// Returns once the helper has ended.
void join_helper(Helper& helper);

// Creates every thread of the plan but the leader, with its old tid, traced by the leader's tracer
// (CLONE_PTRACE): each begins in a PTRACE_EVENT_STOP and runs `thread_main(plan, index)` once it is
// let go. 0 or -errno with the tid in plan.detail. Precondition: CAP_CHECKPOINT_RESTORE or
// CAP_SYS_ADMIN.
int create_threads(wire::RestorerPlan& plan,
                   void (*thread_main)(wire::RestorerPlan* plan, uint64_t index));

// Waits until *word >= value. Whoever counts it up to `value` must wake it (count_up).
void wait_until_at_least(uint32_t* word, uint32_t value);
// Adds one, and wakes the waiter when that makes `wake_at`.
void count_up(uint32_t* word, uint32_t wake_at);

}  // namespace cryostat::restorer
