// Scheduling of a thread: policy, priority, nice, CPU affinity, I/O priority, timer slack
// (sched(7)).
#pragma once

#include <vector>

#include "engine/base/error.h"
#include "engine/base/wire_arena.h"
#include "proto/wire/restorer_state.h"

namespace cryostat {
class PlanReport;
}
namespace cryostat::pb {
class Scheduling;
class Thread;
}  // namespace cryostat::pb

namespace cryostat::task {

struct StartState;

// Dump. An empty affinity in the report (more CPUs than it holds) stays empty.
void save_scheduling(const wire::ThreadStateReport& report, pb::Scheduling& image);

// Restore, planning: CPUs that are not there, policies that whoever restores may not set.
void check_scheduling(const std::vector<pb::Thread>& threads, const StartState& start,
                      PlanReport& report);

// Restore: the calls that lead from `start` to the image.
void plan_scheduling(const pb::Scheduling& image, const StartState& start, WireArena& arena,
                     wire::ThreadState& state);

}  // namespace cryostat::task
