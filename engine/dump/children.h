// The child processes of a task.
#pragma once

#include <sys/types.h>

#include <vector>

#include "engine/base/error.h"
#include "engine/procfs/task_handle.h"

namespace cryostat::dump {

// The number the kernel handed out last in the engine's pid namespace (proc_loadavg(5), last
// field). While it stays the same nobody there has forked or started a thread.
Result<pid_t> last_allocated_pid();

// Children of all threads, zombies included, ascending. Exact only while the task is stopped
// (proc_tid_children(5)).
Result<std::vector<HostPid>> children_of(const TaskHandle& target);

}  // namespace cryostat::dump
