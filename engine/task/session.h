// Session, process group and controlling terminal of a task (setsid(2), setpgid(2),
// credentials(7)).
//
// A task that leads its session gets a session of its own again. One that belongs to a session led
// by someone outside the dump is a shell job: it is dumped and restored only with --shell-job, and
// joins the session and terminal of cr-restore. So does a root that was dumped with its terminal: a
// session of its own would have to take the terminal away from the user's shell. How the sessions
// and groups of a tree come back: tree_plan.h.
#pragma once

#include <span>

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

// Dump.
void save_session(const procfs::Stat& stat, pb::Task& image);

// Dump, when every task of the tree is known, root first: finds which sessions and groups are led
// from outside. Without `shell_job` a shell job is refused, with what to add; so is a session from
// outside other than the root's.
void find_outside_sessions(std::span<pb::Task* const> tasks, bool shell_job, Refusals& refusals);

// The task needs --shell-job on both sides.
bool is_shell_job(const pb::Task& image);

void check_session(const pb::Task& image, bool shell_job, PlanReport& report);

}  // namespace cryostat::task
