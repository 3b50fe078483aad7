// What the threads of a task normally share (clone(2)) and what this engine takes for shared:
// descriptors, root and working directory, namespaces. A thread with its own is refused by name.
#pragma once

#include <vector>

#include "engine/base/error.h"
#include "engine/base/ids.h"
#include "engine/base/refusals.h"

namespace cryostat {
class TaskHandle;
}

namespace cryostat::task {

// `tids`: leader first, all stopped. Errors: kFailed when kcmp(2) (CONFIG_KCMP) is missing and there is more than
// one thread.
Result<void> check_thread_sharing(const TaskHandle& task, const std::vector<Tid>& tids,
                                  Refusals& refusals);

}  // namespace cryostat::task
