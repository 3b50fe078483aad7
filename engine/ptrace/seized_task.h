// A task whose threads are all seized and stopped, and the way back.
#pragma once

#include <sys/user.h>

#include <cstdint>
#include <map>
#include <memory>
#include <span>
#include <vector>

#include "engine/base/deadline.h"
#include "engine/base/error.h"
#include "engine/base/ids.h"
#include "engine/ptrace/tracee.h"

namespace cryostat {

class TaskHandle;
namespace procfs {
struct Status;
}

// One thread as it was found: saved before anything was changed, never edited.
struct SavedThread {
  Tid tid;
  // Where the thread goes on. Inside a restartable sequence rip is the sequence's abort address
  // already, as the kernel would have it after the preemption the freeze is (rseq(2)).
  user_regs_struct registers{};
  std::vector<unsigned char> xstate;  // NT_X86_XSTATE
  uint64_t signal_mask = 0;           // bit n-1 = signal n
  ptrace::RseqConfig rseq;
};

// Guard: owns the seizure from the first thread on. Killed together with its process, the kernel
// lets every thread go on where it was (no PTRACE_O_EXITKILL). Bound to the thread that froze it:
// ptrace requests are only taken from there.
class SeizedTask {
 public:
  enum class Mode : uint8_t {
    kResume,  // as it was: a task in a job-control stop stays in it
    kStop,    // in a group stop by SIGSTOP; SIGCONT resumes it
    kKill,    // SIGKILL; returns once every thread is gone
  };

  // Seizes and interrupts all threads until no new one appears. `task` must outlive the object.
  // On failure (and at the deadline) every thread runs on as before. Pending signals stay pending:
  // one that was just being delivered goes back to its queue. Errors: kTargetGone; kPermission,
  // naming the tracer if there is one; kRefused when the main thread has exited; kFailed at the
  // deadline.
  static Result<SeizedTask> freeze(const TaskHandle& task, const Deadline& deadline,
                                   const StopRequest& stop);
  // The same in two steps, for a task that can't run to its stop yet, nor change (it is frozen by
  // its control group): all threads are seized and asked to stop; then waited for. Between them the
  // object is only good for complete() and for being destroyed.
  static Result<SeizedTask> begin(const TaskHandle& task);
  Result<void> complete(const Deadline& deadline, const StopRequest& stop);
  SeizedTask(SeizedTask&& other) noexcept;
  SeizedTask& operator=(SeizedTask&&) = delete;
  // Backstop: release(kResume), logged.
  ~SeizedTask();

  const TaskHandle& task() const { return *task_; }
  HostPid pid() const;
  // Leader first, the others by ascending tid.
  std::span<const SavedThread> threads() const { return threads_; }
  const SavedThread& leader() const { return threads_.front(); }
  // In a job-control stop when it was frozen, and the signal that stopped it (0 when it was not).
  bool was_stopped() const { return stop_signal_ != 0; }
  int stop_signal() const { return stop_signal_; }
  // Seccomp filters don't judge the threads' system calls until the release
  // (PTRACE_O_SUSPEND_SECCOMP; needs CAP_SYS_ADMIN).
  bool seccomp_suspended() const { return seccomp_suspended_; }

  // /proc/<pid>/status as it was when first asked for; the text takes the kernel a while.
  Result<const procfs::Status*> status();

  // Precondition: registers and signal masks are as saved (InfectedTask::cure() did that).
  // kTargetGone when the task died meanwhile; it is released all the same.
  Result<void> release(Mode mode);

 private:
  explicit SeizedTask(const TaskHandle& task) : task_(&task) {}
  Result<void> begin_all();
  Result<void> seize_all(const Deadline& deadline, const StopRequest& stop);
  // False when the thread vanished meanwhile.
  Result<bool> seize_thread(Tid tid);
  Result<WaitStatus> wait_and_reap(Tid tid, const Deadline& deadline, const StopRequest& stop);
  Result<bool> settle(Tid tid, const Deadline& deadline, const StopRequest& stop);
  Result<bool> settle_from(Result<WaitStatus> first, Tid tid, const Deadline& deadline,
                           const StopRequest& stop);
  // True when the main thread stands, after whatever its id did since it was seen to stand.
  Result<bool> leader_stands(const Deadline& deadline, const StopRequest& stop);
  Result<void> save_threads();
  Result<void> save_thread(SavedThread& thread);
  Result<void> detach_all();
  Result<void> kill_all();
  void let_go(Tid tid);

  const TaskHandle* task_;
  std::vector<Tid> seized_;           // in order of seizure; all that must be let go
  std::vector<SavedThread> threads_;  // complete once freeze() succeeded
  std::shared_ptr<const procfs::Status> status_;
  int stop_signal_ = 0;
  bool seccomp_suspended_ = true;
  // Stops of threads that were only looked at to see whether they had ended; for settle().
  std::map<pid_t, WaitStatus> overheard_;
  bool owned_ = true;
};

}  // namespace cryostat
