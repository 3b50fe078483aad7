// All signals blocked in this thread for a while.
#pragma once

#include <pthread.h>
#include <signal.h>

namespace cryostat {

// A thread that is started meanwhile inherits that: signals belong to the main thread, which waits
// for SIGCHLD and is told to stop by others. pthread_sigmask(3).
class AllSignalsBlocked {
 public:
  AllSignalsBlocked() {
    sigset_t all;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before_);
  }
  AllSignalsBlocked(const AllSignalsBlocked&) = delete;
  AllSignalsBlocked& operator=(const AllSignalsBlocked&) = delete;
  ~AllSignalsBlocked() { pthread_sigmask(SIG_SETMASK, &before_, nullptr); }

 private:
  sigset_t before_;
};

}  // namespace cryostat
