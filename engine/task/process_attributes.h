// What belongs to the whole process and is read and set through /proc or plain calls: umask, root
// and working directory, oom score, core dump filter, exit signal, CPU times.
#pragma once

#include <string>

#include "engine/base/error.h"

namespace cryostat {
class PlanReport;
class Refusals;
class TaskHandle;
}  // namespace cryostat
namespace cryostat::procfs {
struct Stat;
struct Status;
}  // namespace cryostat::procfs
namespace cryostat::pb {
class Task;
}

namespace cryostat::task {

struct StartState;

// Dump. A root or working directory without a path that leads to it is refused.
Result<void> save_process_attributes(const TaskHandle& task, const procfs::Stat& stat,
                                     const procfs::Status& status, Refusals& refusals,
                                     pb::Task& image);

void check_process_attributes(const pb::Task& image, const StartState& start, PlanReport& report);

// Restore, in the child; see hosted_state.h.
Result<void> apply_process_attributes(const pb::Task& image);
// Root, working directory and umask.
Result<void> apply_directories(const pb::Task& image);

}  // namespace cryostat::task
