// Interval timers and POSIX timers of a task (setitimer(2), timer_create(2)).
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "engine/base/error.h"
#include "engine/base/wire_arena.h"
#include "engine/task/signals.h"
#include "proto/wire/restorer_state.h"

namespace cryostat {
class PlanReport;
class Refusals;
}  // namespace cryostat
namespace cryostat::procfs {
struct PosixTimerInfo;
}
namespace cryostat::pb {
class Task;
}

namespace cryostat::task {

// Dump.
void save_interval_timers(const wire::TaskStateReport& report, pb::Task& image);

// Dump: `timers` from /proc/<pid>/timers, `reports` from the parasite, in the same order. A timer
// on a clock of another task is the reason for a refusal, returned as text (empty: none).
std::string save_posix_timer(const procfs::PosixTimerInfo& timer,
                             const wire::PosixTimerReport& report, pid_t pid, pb::Task& image);

// Dump: timers are read before the pending signals, so one that ends in between would be saved both
// with its time left and with its signal. `elapsed_ns` is how long ago the timers were read, at
// most, when the shared queue was. Timers that a queued signal shows as ended lose that period.
void settle_ended_timers(std::span<const siginfo_t> shared_queue, uint64_t elapsed_ns,
                         pb::Task& image);

// Restore.
void plan_timers(const pb::Task& image, WireArena& arena, wire::TaskState& state);

}  // namespace cryostat::task
