#include "engine/task/session.h"

#include <errno.h>
#include <fmt/format.h>
#include <unistd.h>

#include "engine/base/plan_report.h"
#include "engine/procfs/stat.h"
#include "proto/task.pb.h"

namespace cryostat::task {

bool is_shell_job(const pb::Task& image) {
  return image.sid() != image.pid() || image.has_controlling_terminal();
}

void save_session(const procfs::Stat& stat, bool shell_job, Refusals& refusals, pb::Task& image) {
  image.set_pid(stat.pid);
  image.set_ppid(stat.ppid);
  image.set_pgid(stat.pgrp);
  image.set_sid(stat.session);
  image.set_has_controlling_terminal(stat.tty_nr != 0);
  image.set_foreground(stat.tty_nr != 0 && stat.tpgid == stat.pgrp);
  if (shell_job) return;
  if (stat.session != stat.pid) {
    refusals.add(HostPid(stat.pid), "",
                 fmt::format("is a shell job: its session {} is led by another process; "
                             "add --shell-job to dump it",
                             stat.session));
  } else if (stat.tty_nr != 0) {
    refusals.add(HostPid(stat.pid), "",
                 "has a controlling terminal from outside; add --shell-job to dump it");
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

Result<void> apply_session_and_group(const pb::Task& image) {
  if (!is_shell_job(image)) {
    if (setsid() < 0) return fail_errno("make a session of its own");
    return {};
  }
  // A member of somebody else's group stays in that of cr-restore.
  if (image.pgid() != image.pid()) return {};
  if (setpgid(0, 0) < 0) return fail_errno("make a process group of its own");
  return {};
}

}  // namespace cryostat::task
