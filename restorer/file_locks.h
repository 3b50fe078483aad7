// POSIX record locks of the task being restored.
#pragma once

#include "proto/wire/restorer.h"

namespace cryostat::restorer {

// Sets every lock of plan.file_locks without waiting. After the service descriptors are closed:
// closing any descriptor of a file drops all record locks the process has on it (fcntl_locking(2)).
// Returns 0 or -errno with the descriptor in plan.detail; -EAGAIN: another process has the lock.
int set_file_locks(wire::RestorerPlan& plan);

}  // namespace cryostat::restorer
