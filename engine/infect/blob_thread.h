// One thread of the target while it runs parasite code.
#pragma once

#include <csignal>
#include <cstdint>
#include <optional>

#include "engine/base/deadline.h"
#include "engine/base/error.h"
#include "engine/base/ids.h"

namespace cryostat {

struct SavedThread;

// Where a thread enters the parasite and how the engine learns that it is done.
struct BlobRun {
  RemoteAddr entry;
  RemoteAddr argument;   // first argument of the entry point
  RemoteAddr stack_top;  // exclusive end of the stack, 16-byte aligned
  RemoteAddr done;       // uint32_t the parasite sets before it stops itself
  int stop_signal = 0;
};

class BlobThread {
 public:
  // `thread` must outlive it.
  BlobThread(HostPid pid, const SavedThread& thread) : pid_(pid), thread_(&thread) {}

  // Blocks all signals but the stop signal and those of faults, sets registers and lets the thread
  // run. Precondition: in a ptrace stop.
  Result<void> start(const BlobRun& run);
  // Waits until the parasite is done. kTargetGone when the thread died; kFailed when the parasite
  // faulted, or when a stop request or the deadline broke it off. The thread is in a ptrace stop
  // afterwards unless it died.
  Result<void> finish(const BlobRun& run, const Deadline& deadline, const StopRequest& stop);
  // Registers and signal mask as saved; a foreign signal that came in between is queued again.
  // Precondition: in a ptrace stop. The extended state is not touched.
  Result<void> restore();
  // The last part of it alone: the thread stays in the parasite.
  Result<void> requeue_foreign();

 private:
  Result<void> break_off();
  Result<std::optional<int>> handle_signal(const BlobRun& run, int signal);

  HostPid pid_;
  const SavedThread* thread_;
  // A stop signal from elsewhere that the thread itself would have kept pending.
  std::optional<siginfo_t> foreign_;
};

}  // namespace cryostat
