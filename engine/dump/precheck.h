// What is checked before a target is touched: that it can be a target at all.
#pragma once

#include <sys/types.h>

#include "engine/base/error.h"
#include "engine/base/refusals.h"
#include "engine/procfs/task_handle.h"

namespace cryostat::dump {

// Reads only. Errors, first found first: kTargetGone (a zombie too), kPermission (names the missing
// capability), kRefused (kernel thread, cr-dump itself or one of its ancestors, traced by pid N).
// Refusals gathered as lines: 32-bit and x32 programs, namespaces other than the
// engine's. The caller calls refusals.check() when everything else has been asked too.
Result<void> precheck(const TaskHandle& target, Refusals& refusals);

// What holds for every other task of the tree as well, asked when it is stopped: its program and
// its namespaces, as refusals.
Result<void> check_member(const TaskHandle& member, Refusals& refusals);

}  // namespace cryostat::dump
