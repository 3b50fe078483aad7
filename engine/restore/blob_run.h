// Watching the restorer blob from outside until every thread stands in its final int3.
#pragma once

#include <vector>

#include "engine/base/deadline.h"
#include "engine/base/error.h"
#include "engine/base/ids.h"
#include "engine/restore/create_task.h"

namespace cryostat::restore {

// Follows the blob to its end. `tids`: leader first. A failed step becomes an Error that names
// step, thread, errno and detail; a thread that died or faulted is named with signal and address.
// Afterwards every thread is in a ptrace stop, its state set but for what finish_* does.
Result<void> run_blob(CreatedTask& task, const LaunchReport& launch, const std::vector<Tid>& tids,
                      const StopRequest& stop);

}  // namespace cryostat::restore
