// Watching the restorer blob from outside until every thread stands in its final int3.
#pragma once

#include <vector>

#include "engine/base/deadline.h"
#include "engine/base/error.h"
#include "engine/base/ids.h"
#include "engine/restore/create_task.h"

namespace cryostat::restore {

// Both follow the blob of one task; a failed step becomes an Error that names step, thread, errno
// and detail; a thread that died or faulted is named with signal and address.

// Until its address space and its task state are there; the leader is then in a ptrace stop.
Result<void> wait_for_memory(const CreatedTask& task, const StopRequest& stop);
// From there to its end. `tids`: leader first. Afterwards every thread is in a ptrace stop, its
// state set but for what finish_* does.
Result<void> wait_for_threads(const CreatedTask& task, const std::vector<Tid>& tids,
                              const StopRequest& stop);

}  // namespace cryostat::restore
