// The child processes of a target: refused by name until process trees are supported.
#pragma once

#include <sys/types.h>

#include <vector>

#include "engine/base/error.h"
#include "engine/base/refusals.h"
#include "engine/procfs/task_handle.h"

namespace cryostat::dump {

// The number the kernel handed out last in the engine's pid namespace (proc_loadavg(5), last
// field). While it stays the same nobody there has forked or started a thread.
Result<pid_t> last_allocated_pid();

// Children of all threads, zombies included, ascending. Exact only while the target is stopped
// (proc_tid_children(5)).
Result<std::vector<HostPid>> children_of(const TaskHandle& target);

// One refusal for each child.
Result<void> refuse_children(const TaskHandle& target, Refusals& refusals);

}  // namespace cryostat::dump
