// The signal with which the parasite hands a thread back to its tracer.
#pragma once

#include <cstdint>

#include "engine/procfs/status.h"

namespace cryostat {

// A signal that the task ignores, so that nothing happens when nobody traces it any more: a tracer
// sees even ignored signals (ptrace(2)). Best one that the main thread does not block, since then
// the task could not tell one that came from elsewhere. `status`: of the frozen main thread.
// When the task handles all candidates, SIGURG: its handler would run once if the engine died at
// the wrong moment.
int choose_stop_signal(const procfs::Status& status);

}  // namespace cryostat
