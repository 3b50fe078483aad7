// Runs the rest of a test program as the init of a pid namespace of its own, so that it may choose
// pids freely. Include it in one source file of the program and call it from a static initialiser.
#pragma once

#include <sched.h>
#include <sys/mount.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>

namespace cryostat::test {

// Returns true in the new namespace, false when there can be none (no privilege). The process that
// called waits and ends with the same status.
inline bool enter_own_pid_namespace() {
  if (unshare(CLONE_NEWPID | CLONE_NEWNS) != 0) return false;
  const pid_t child = fork();
  if (child < 0) return false;
  if (child != 0) {
    int status = 0;
    waitpid(child, &status, 0);
    _exit(WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status));
  }
  return mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) == 0 &&
         mount("proc", "/proc", "proc", 0, nullptr) == 0;
}

}  // namespace cryostat::test
