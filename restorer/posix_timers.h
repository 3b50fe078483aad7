// POSIX timers under their old ids, from inside.
#pragma once

#include "restorer/state_step.h"

namespace cryostat::restorer {

// `timers`: ascending ids. Precondition: the task has no POSIX timer yet.
void create_posix_timers(const wire::WireSpan<wire::PosixTimerState>& timers, void* arena,
                         StateStep& step);

// Starts those that have time left.
void arm_posix_timers(const wire::WireSpan<wire::PosixTimerState>& timers, void* arena,
                      StateStep& step);

}  // namespace cryostat::restorer
