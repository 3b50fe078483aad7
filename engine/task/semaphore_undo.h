// System V semaphores that a target may have to undo at its exit (SEM_UNDO, semop(2)): the kernel
// tells nobody who has adjustments, so all that can be done is to say where there may be some.
#pragma once

#include <sys/types.h>

#include <span>

#include "engine/base/error.h"

namespace cryostat::task {

// Logs a warning for each semaphore set of this IPC namespace that one of `pids` operated on last
// (GETPID, semctl(2)). Looks at /proc/sysvipc/sem first: without sets that is all.
Result<void> warn_about_semaphores(std::span<const pid_t> pids);

}  // namespace cryostat::task
