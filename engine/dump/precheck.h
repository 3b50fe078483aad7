// What is checked before a target is touched: that it can be a target at all.
#pragma once

#include <sys/types.h>

#include "engine/base/error.h"
#include "engine/base/refusals.h"
#include "engine/procfs/task_handle.h"

namespace cryostat::dump {

// The number the kernel handed out last in this pid namespace, before the target's children were
// looked up.
struct PidMark {
  pid_t last_pid = 0;
};

// Reads only. Errors, first found first: kTargetGone (a zombie too), kPermission (names the missing
// capability), kRefused (kernel thread, cr-dump itself or one of its ancestors, traced by pid N).
// Refusals gathered as lines: 32-bit and x32 programs, child processes, namespaces other than the
// engine's. The caller calls refusals.check() when everything else has been asked too.
Result<PidMark> precheck(const TaskHandle& target, Refusals& refusals);

// Precondition: every thread of the target is stopped. Refuses children forked since precheck().
// Costs one short read when nobody in the pid namespace forked in the meantime.
Result<void> check_new_children(const TaskHandle& target, const PidMark& mark, Refusals& refusals);

}  // namespace cryostat::dump
