// The task's own view of its state.
#pragma once

#include "proto/wire/parasite_state.h"

namespace cryostat::parasite {

// Fills `report`; `report->posix_timer_count` and the ids of its timers are inputs. Returns 0, or
// -EINVAL when an input is out of bounds; single failed calls are noted in the report.
int collect_task_state(wire::TaskStateReport* report);

}  // namespace cryostat::parasite
