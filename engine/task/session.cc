#include "engine/task/session.h"

#include <fmt/format.h>
#include <signal.h>

#include <algorithm>
#include <cerrno>
#include <set>

#include "engine/base/plan_report.h"
#include "engine/procfs/stat.h"
#include "proto/task.pb.h"

namespace cryostat::task {

namespace {

// A number in use as a session or group is not given to another process, so that a process that has
// it is the leader (credentials(7)).
bool lives(pid_t pid) { return kill(pid, 0) == 0 || errno == EPERM; }

std::string session_reason(const pb::Task& task) {
  if (task.outside_session())
    return fmt::format(
        "is a shell job: its session {} is led by another process; "
        "add --shell-job to dump it",
        task.sid());
  return "has a controlling terminal from outside; add --shell-job to dump it";
}

}  // namespace

bool is_shell_job(const pb::Task& image) {
  return image.outside_session() || image.has_controlling_terminal();
}

void save_session(const procfs::Stat& stat, pb::Task& image) {
  image.set_pid(stat.pid);
  image.set_ppid(stat.ppid);
  image.set_pgid(stat.pgrp);
  image.set_sid(stat.session);
  image.set_has_controlling_terminal(stat.tty_nr != 0);
  image.set_foreground(stat.tty_nr != 0 && stat.tpgid == stat.pgrp);
}

void find_terminals(std::span<pb::Task* const> tasks, std::span<const uint32_t> tty_nrs,
                    const OwnTerminals& terminals, Refusals& refusals) {
  for (size_t i = 0; i < tty_nrs.size(); ++i) {
    if (tty_nrs[i] == 0) continue;
    const uint32_t pty = terminals.find(tty_nrs[i]);
    tasks[i]->set_controlling_pty_id(pty);
    if (pty != 0) tasks[i]->set_has_controlling_terminal(false);
  }
  for (const auto& [session, pty] : terminals.sessions) {
    const auto leads = [&](const pb::Task* task) {
      return task->pid() == session && task->controlling_pty_id() == pty;
    };
    if (std::ranges::none_of(tasks, leads))
      refusals.add(HostPid(tasks.front()->pid()), "",
                   fmt::format("has the pseudoterminal that controls session {}, whose leader is "
                               "outside the tree: that can't be checkpointed",
                               session));
  }
  for (const auto& [pty, holder] : terminals.opened_as_own) {
    const pb::Task& task = *tasks[holder];
    if (task.controlling_pty_id() == pty) continue;
    refusals.add(HostPid(task.pid()), "",
                 "has a descriptor opened as /dev/tty by a task of another session: that can't be "
                 "checkpointed");
  }
}

void find_outside_sessions(std::span<pb::Task* const> tasks, bool shell_job, Refusals& refusals) {
  std::set<pid_t> members;
  for (const pb::Task* task : tasks) members.insert(task->pid());
  const auto is_outside = [&](pid_t leader) { return !members.contains(leader) && lives(leader); };
  const pb::Task& root = *tasks.front();
  for (pb::Task* task : tasks) {
    task->set_outside_session(is_outside(task->sid()));
    task->set_outside_group(is_outside(task->pgid()));
    const bool like_root = task != &root && task->sid() == root.sid();
    if (!like_root && !shell_job && is_shell_job(*task)) {
      refusals.add(HostPid(task->pid()), "", session_reason(*task));
    } else if (!like_root && task != &root && is_shell_job(*task)) {
      refusals.add(HostPid(task->pid()), "",
                   fmt::format("is in session {} with a leader or a terminal from outside, another "
                               "one than the session of the root",
                               task->sid()));
    } else if (task->outside_group() && !task->outside_session()) {
      refusals.add(
          HostPid(task->pid()), "",
          fmt::format("its process group {} is led by a process outside the tree", task->pgid()));
    }
  }
}

void check_session(const pb::Task& image, bool shell_job, PlanReport& report) {
  if (is_shell_job(image) && !shell_job) {
    report.missing(fmt::format("session of pid {}", image.pid()),
                   "was dumped as a shell job (cr-dump --shell-job)",
                   "add --shell-job to restore it into this session", ErrorKind::kRefused);
    return;
  }
  report.ok(fmt::format("session of pid {}", image.pid()),
            is_shell_job(image) ? "joins the session of cr-restore" : "gets its own");
}

}  // namespace cryostat::task
