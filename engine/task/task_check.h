// Does this machine, and whoever restores, fit the state of a task? (Restore, planning.)
#pragma once

#include <vector>

namespace cryostat {
class PlanReport;
}
namespace cryostat::pb {
class Task;
class Thread;
}  // namespace cryostat::pb

namespace cryostat::task {

struct StartState;

struct CheckOptions {
  bool shell_job = false;  // --shell-job was given
};

// Adds what the task needs of this machine to the report: session rules, limits, capabilities, ids,
// root and working directory, oom score, processors, seccomp. `start`: what cr-restore has
// (read_start_state()). Changes nothing.
void check_task(const pb::Task& task, const std::vector<pb::Thread>& threads,
                const StartState& start, const CheckOptions& options, PlanReport& report);

}  // namespace cryostat::task
