// A task with all its threads seized and stopped. Owns the freeze: as long as it exists the task
// stands still, and when it goes the task runs on as it was.
#pragma once

#include <sys/user.h>

#include <cstdint>
#include <vector>

#include "engine/base/deadline.h"
#include "engine/base/error.h"
#include "engine/base/ids.h"
#include "engine/procfs/task_handle.h"
#include "engine/ptrace/traced_thread.h"

namespace cryostat {

// What a thread was when it was stopped. Saved before any change and never edited.
struct SavedThread {
  Tid tid;
  // With orig_rax, and rax as the kernel left it (-ERESTART…). A thread inside an rseq critical section
  // is already at its abort handler, where the kernel would have sent it (rseq(2)).
  user_regs_struct registers{};
  std::vector<unsigned char> xstate;  // NT_X86_XSTATE
  uint64_t signal_mask = 0;           // bit n-1 = signal n
  ptrace::RseqConfiguration rseq;     // address 0: none
};

class SeizedTask {
 public:
  // Seizes and interrupts every thread until no new one appears. A signal that was just being delivered
  // is put back into the queue. On an error (kTargetGone, kPermission with the tracer's pid,
  // kRefused for a leader that has exited, kFailed after `deadline`) the task runs on unharmed.
  // Precondition: the caller waits for no other children; it stays the tracer, on this thread.
  // `handle` must outlive the result.
  static Result<SeizedTask> freeze(const TaskHandle& handle, const Deadline& deadline,
                                   const StopRequest& stop);

  SeizedTask(SeizedTask&&) noexcept;
  SeizedTask& operator=(SeizedTask&&) = delete;
  ~SeizedTask();

  const TaskHandle& handle() const { return *handle_; }
  HostPid pid() const { return handle_->pid(); }
  const std::vector<SavedThread>& threads() const { return threads_; }  // leader first
  const SavedThread& leader() const { return threads_.front(); }

  // In job-control stop when it was frozen, and by which signal.
  bool was_stopped() const { return stop_signal_ != 0; }
  int stop_signal() const { return stop_signal_; }
  // Filters don't apply to remote system calls (PTRACE_O_SUSPEND_SECCOMP).
  bool seccomp_suspended() const { return seccomp_suspended_; }

  enum class Mode {
    kResume,  // as it was: running, or in its job-control stop
    kStop,    // in a group stop by SIGSTOP
    kKill,    // ended; returns once it is dead
  };
  // Ends the freeze. Precondition: every thread has its saved registers, extended state and mask (what
  // changed them has put them back).
  Result<void> release(Mode mode);

 private:
  explicit SeizedTask(const TaskHandle& handle) : handle_(&handle) {}
  class Freezer;
  void detach_all();

  const TaskHandle* handle_;
  std::vector<SavedThread> threads_;
  int stop_signal_ = 0;
  bool seccomp_suspended_ = false;
  bool held_ = true;
};

}  // namespace cryostat
