// The numbers of PR_SET_MM_MAP: where code, data, heap, stack, arguments and environment are.
#pragma once

#include "engine/base/error.h"
#include "engine/base/ids.h"

namespace cryostat {
class TaskHandle;
}
namespace cryostat::pb {
class MmLayout;
}

namespace cryostat::memory {

// From /proc/pid/stat and auxv. `current_brk` is brk(0) as the target sees it: procfs does not tell
// it. Precondition: ptrace access (the addresses read as 0 without).
Result<pb::MmLayout> read_mm_layout(const TaskHandle& task, RemoteAddr current_brk);

}  // namespace cryostat::memory
