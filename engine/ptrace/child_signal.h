// Waiting for the stops of tracees with a deadline: SIGCHLD is blocked and fetched, so none is missed.
#pragma once

#include <signal.h>

#include <chrono>

#include "engine/base/deadline.h"
#include "engine/base/error.h"

namespace cryostat::ptrace {

// Blocks SIGCHLD in this thread for its lifetime; the kernel raises it at every stop of a tracee.
class ChildSignal {
 public:
  ChildSignal();
  ChildSignal(const ChildSignal&) = delete;
  ChildSignal& operator=(const ChildSignal&) = delete;
  ~ChildSignal();

  // Returns when a SIGCHLD came since the last call, after a short while in any case (another thread may
  // have taken it), or when a signal handler ran. kFailed "timed out" past the deadline, or the stop
  // request. Look at the tracees first, then wait, then look again.
  Result<void> wait(const Deadline& deadline, const StopRequest& stop);

 private:
  sigset_t previous_;
};

}  // namespace cryostat::ptrace
