// What the tasks of a tree may have in common beyond descriptions and memory pages (clone(2)):
// the address space itself, descriptor table, file system attributes, signal handlers.
#pragma once

#include <span>

#include "engine/base/error.h"

namespace cryostat {
class Refusals;
class TaskHandle;
}  // namespace cryostat

namespace cryostat::task {

// Two tasks that share one of these can't be saved yet: each pair becomes a refusal. Found with
// kcmp(2), in n log n comparisons. Precondition: all threads of the tasks are stopped. Errors:
// kFailed without kcmp(2) when there is more than one task.
Result<void> check_task_sharing(std::span<const TaskHandle* const> tasks, Refusals& refusals);

}  // namespace cryostat::task
