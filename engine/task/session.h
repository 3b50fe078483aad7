// Session, process group and controlling terminal of a task (setsid(2), setpgid(2),
// credentials(7)).
//
// A task that leads its session gets a session of its own again. One that belongs to a session led
// by someone outside the dump is a shell job: it is dumped and restored only with --shell-job, and
// joins the session and terminal of cr-restore. So does a session leader that was dumped with its
// terminal: a session of its own would have to take the terminal away from the user's shell.
#pragma once

#include "engine/base/error.h"
#include "engine/base/refusals.h"

namespace cryostat {
class PlanReport;
}
namespace cryostat::procfs {
struct Stat;
}
namespace cryostat::pb {
class Task;
}

namespace cryostat::task {

// Dump. Without `shell_job` a shell job is refused, with what to add.
void save_session(const procfs::Stat& stat, bool shell_job, Refusals& refusals, pb::Task& image);

// The task needs --shell-job on both sides.
bool is_shell_job(const pb::Task& image);

void check_session(const pb::Task& image, bool shell_job, PlanReport& report);

// Restore, in the child: setsid(2) or setpgid(2) as the image says.
Result<void> apply_session_and_group(const pb::Task& image);

}  // namespace cryostat::task
