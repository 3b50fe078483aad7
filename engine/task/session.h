// Session, process group and controlling terminal of a task (setsid(2), setpgid(2),
// credentials(7)). The terminal may be a pseudoterminal of the target itself.
//
// A task that leads its session gets a session of its own again. One that belongs to a session led
// by someone outside the dump is a shell job: it is dumped and restored only with --shell-job, and
// joins the session and terminal of cr-restore. So does a root that was dumped with its terminal: a
// session of its own would have to take the terminal away from the user's shell. How the sessions
// and groups of a tree come back: tree_plan.h.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <utility>
#include <vector>

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

// Pseudoterminals of the target, as far as sessions are concerned; all by the description of the
// master.
struct OwnTerminals {
  // Of a controlling terminal's device number (tty_nr of proc_pid_stat(5)); 0: from outside.
  std::function<uint32_t(uint32_t tty_nr)> find;
  std::vector<std::pair<int32_t, uint32_t>> sessions;  // session, pseudoterminal that controls it
  // What was opened as /dev/tty: the pseudoterminal, and the index of the task that opens it again.
  std::vector<std::pair<uint32_t, size_t>> opened_as_own;
};

// Dump.
void save_session(const procfs::Stat& stat, pb::Task& image);

// Dump, when the descriptors of the tree are known: which tasks have a terminal of the target as
// their controlling terminal. `tty_nrs`: of the tasks. Refused: one that controls a session without
// a living leader in the tree; /dev/tty in the hands of another session.
void find_terminals(std::span<pb::Task* const> tasks, std::span<const uint32_t> tty_nrs,
                    const OwnTerminals& terminals, Refusals& refusals);

// Dump, when every task of the tree is known, root first, after find_terminals(): finds which
// sessions and groups are led from outside. Without `shell_job` a shell job is refused, with what
// to add; so is a session from outside other than the root's.
void find_outside_sessions(std::span<pb::Task* const> tasks, bool shell_job, Refusals& refusals);

// The task needs --shell-job on both sides.
bool is_shell_job(const pb::Task& image);

void check_session(const pb::Task& image, bool shell_job, PlanReport& report);

}  // namespace cryostat::task
