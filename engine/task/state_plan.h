// From images to the restorer's plan: the state part (proto/wire/restorer_state.h).
#pragma once

#include <vector>

#include "engine/base/error.h"
#include "engine/base/wire_arena.h"
#include "proto/wire/restorer_state.h"

namespace cryostat::pb {
class AddressSpace;
class Task;
class Thread;
}  // namespace cryostat::pb

namespace cryostat::task {

struct StartState;

// Both run in the child after all hosted steps; `start` is read there as well (start_state.h).
// Pointers into the arena don't survive the call. Errors: kImages for nonsense, kMachine.
Result<void> fill_task_state(const pb::Task& task, const std::vector<pb::Thread>& threads,
                             const pb::AddressSpace& space, const StartState& start,
                             WireArena& arena, wire::TaskState& state);

// After fill_task_state; `common_filters`: its state.filters.count, the programs that are installed
// for all threads at once.
Result<void> fill_thread_state(const pb::Task& task, const pb::Thread& thread,
                               uint64_t common_filters, const StartState& start, WireArena& arena,
                               wire::ThreadState& state);

// Any thread has seccomp on: the task must be traced with PTRACE_O_SUSPEND_SECCOMP.
bool needs_suspended_seccomp(const std::vector<pb::Thread>& threads);

}  // namespace cryostat::task
