// Does a frozen task trace another process (ptrace(2))? Its tracees would lose their tracer, and
// the task them.
#pragma once

#include "engine/base/refusals.h"

namespace cryostat {
class TaskHandle;
}

namespace cryostat::task {

// Refuses by name when there is one. Walks over all of /proc: only to be asked when the task itself
// has found something to wait for that can't be an ordinary child (TaskStateReport::other_waits).
Result<void> refuse_tracer(const TaskHandle& task, Refusals& refusals);

}  // namespace cryostat::task
