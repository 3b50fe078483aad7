// A task created under its old pid, traced from its first moment, killed and reaped unless
// released.
#pragma once

#include "engine/base/deadline.h"
#include "engine/base/error.h"
#include "engine/base/ids.h"
#include "engine/base/unique_fd.h"
#include "engine/restore/child_channel.h"
#include "engine/restore/hosted_child.h"

namespace cryostat::restore {

struct CreateOptions {
  enum class Parent : uint8_t {
    kCaller,         // cr-restore
    kCallersParent,  // CLONE_PARENT, --restore-sibling
    kInit,           // nobody of ours: init, or the nearest subreaper
  };
  Parent parent = Parent::kCaller;
  bool suspend_seccomp = false;  // a thread of the target has seccomp on (PTRACE_O_SUSPEND_SECCOMP,
                                 // needs CAP_SYS_ADMIN)
};

// Owns the new task: the destructor kills it with all its threads and reaps it. Only the thread of
// the engine that created it may use it (ptrace(2)).
class CreatedTask {
 public:
  CreatedTask(CreatedTask&&) noexcept;
  CreatedTask& operator=(CreatedTask&&) = delete;
  ~CreatedTask();

  HostPid pid() const { return pid_; }
  int pidfd() const { return pidfd_.get(); }
  // False when its end is reported to someone else.
  bool is_own_child() const { return own_child_; }

  // Waits until the child's hosted part is done: its report, or the child's own Error, or how it
  // died. `stop` is looked at all the time. The child then runs in the blob.
  Result<LaunchReport> wait_ready(const StopRequest& stop);

  // The task is released and lives its own life: the destructor does nothing any more.
  void disown() { owned_ = false; }

 private:
  friend Result<CreatedTask> create_root(HostPid, const CreateOptions&, const HostedPlan&);
  CreatedTask(HostPid pid, UniqueFd pidfd, ChildChannel channel)
      : pid_(pid), pidfd_(std::move(pidfd)), channel_(std::move(channel)) {}
  Result<void> seize(const CreateOptions& options);
  Result<void> look_at_child();
  HostPid pid_;
  UniqueFd pidfd_;
  ChildChannel channel_;
  bool owned_ = true;
  bool own_child_ = true;
};

// clone3(set_tid) of a child that runs hosted_child_main(plan) once it is seized with EXITKILL.
// kMachine when the pid is taken; kPermission without CAP_CHECKPOINT_RESTORE.
// Precondition: no other thread of the engine holds a lock the child needs (start none before).
Result<CreatedTask> create_root(HostPid pid, const CreateOptions& options, const HostedPlan& plan);

}  // namespace cryostat::restore
