// What the root of a tree has in common with tasks outside of it (clone(2)): it would come back as
// a copy of its own.
#pragma once

#include "engine/base/error.h"
#include "engine/base/refusals.h"
#include "engine/procfs/task_handle.h"

namespace cryostat::dump {

// Compares the root with its parent and its siblings (kcmp(2)): an address space, descriptor table,
// working directory or set of signal handlers that it shares with one of them becomes a refusal.
// Reads only; the tasks may run. Relatives that may not be looked at are left out.
Result<void> refuse_outside_sharing(const TaskHandle& root, Refusals& refusals);

}  // namespace cryostat::dump
