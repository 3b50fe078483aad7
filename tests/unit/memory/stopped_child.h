// A forked child that changes its copy of our memory and then waits to be looked at.
#pragma once

#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <functional>

#include "engine/base/ids.h"

namespace cryostat::memory {

class StoppedChild {
 public:
  // `prepare` runs in the child, which then stops; returns when it has.
  explicit StoppedChild(const std::function<void()>& prepare) : pid_(fork()) {
    if (pid_ == 0) {
      prctl(PR_SET_PDEATHSIG, SIGKILL);
      prepare();
      raise(SIGSTOP);
      _exit(0);
    }
    int status = 0;
    waitpid(pid_, &status, WUNTRACED);
  }
  StoppedChild(const StoppedChild&) = delete;
  StoppedChild& operator=(const StoppedChild&) = delete;
  ~StoppedChild() {
    kill(pid_, SIGKILL);
    waitpid(pid_, nullptr, 0);
  }
  HostPid pid() const { return HostPid(pid_); }

 private:
  pid_t pid_;
};

}  // namespace cryostat::memory
