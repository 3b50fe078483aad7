// clone3(set_tid): a new process under a chosen number.
#pragma once

#include <linux/sched.h>

#include <functional>

#include "engine/base/error.h"
#include "engine/base/ids.h"

namespace cryostat::restore {

// Calls `clone_once`, which makes the clone3(2) call and returns its errno (0: done), again while
// the number is only held by a process that was reaped a moment ago.
Result<int> clone_when_free(HostPid pid, const std::function<Result<int>()>& clone_once);

// What clone3's errno means for whoever restores: kMachine with the holder of the number,
// kPermission without CAP_CHECKPOINT_RESTORE.
Failure clone_failed(int error, HostPid pid);

// Arguments of a fork that makes `*pid` (which must live until the call).
clone_args fork_args(const pid_t* pid, uint64_t flags, int exit_signal);

}  // namespace cryostat::restore
