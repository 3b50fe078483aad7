// What cr-restore does when it was not told to detach: it stays the parent of the restored process,
// stands in for it towards the shell, and ends as it ends.
#pragma once

#include <sys/types.h>

#include "engine/base/deadline.h"
#include "engine/cli/terminal.h"

namespace cryostat::cli {

// Supervises one restored process, a child of this one, on behalf of the shell that started
// cr-restore:
//  * A job that leads a process group of its own gets the terminal (if cr-restore's group had it),
//  so
//    that Ctrl-C and Ctrl-Z reach the job alone. When it stops, the terminal is taken back and
//    cr-restore stops too; `fg` and `bg` continue it.
//  * SIGINT, SIGTERM, SIGHUP and SIGQUIT sent to cr-restore by a process go to the job; those the
//    terminal sent do so only if the job, being in another group, did not get them itself.
// The process must have one thread and no interest of its own in these signals.
class Supervisor {
 public:
  // `job_control`: the job belongs to cr-restore's session (--shell-job).
  explicit Supervisor(bool job_control);

  // To be called before the job runs its first instruction, so that an interactive job never finds
  // itself in the background: gives it the terminal.
  void hand_over(pid_t job);
  // Takes the terminal back when the restore failed after hand_over.
  void give_up();

  // Waits for the job's end. Returns its exit status, or 128 + the signal that killed it. A signal
  // that came too late to stop the restore (`asked`) goes to the job.
  int wait(const StopRequest& asked);

 private:
  bool owns_group() const { return group_ != own_group_; }
  int reap(bool* ended);
  void on_stopped(int stop_signal);
  void on_signal(int number, bool from_terminal);
  void stop_like_the_job();
  void resume_job();
  void follow_terminal();
  int finish(int status);

  bool job_control_;
  Terminal terminal_;
  pid_t own_group_;
  pid_t job_ = 0;
  pid_t group_ = 0;  // the job's process group
};

}  // namespace cryostat::cli
