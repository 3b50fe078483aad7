// Resource limits (getrlimit(2)), shared by all threads of a task.
#pragma once

#include <string>

#include "engine/base/error.h"
#include "engine/base/wire_arena.h"
#include "proto/wire/restorer_state.h"

namespace cryostat {
class PlanReport;
class TaskHandle;
}  // namespace cryostat
namespace cryostat::pb {
class Task;
}

namespace cryostat::task {

struct StartState;

// Dump. Without CAP_SYS_RESOURCE prlimit(2) is refused across users: then from /proc/<pid>/limits.
Result<void> save_limits(const TaskHandle& task, pb::Task& image);

// Restore, planning: hard limits above our own that we may not raise.
void check_limits(const pb::Task& image, const StartState& start, PlanReport& report);

// Restore: those that differ from what the child has now.
Result<void> plan_limits(const pb::Task& image, WireArena& arena, wire::TaskState& state);

// Restore, in the child: soft limits up to the hard ones, so that the restore itself hits none.
void raise_soft_limits();

// "RLIMIT_NOFILE".
std::string limit_name(unsigned resource);

}  // namespace cryostat::task
