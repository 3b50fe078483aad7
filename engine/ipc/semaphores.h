// System V semaphores (semget(2)).
#pragma once

#include "engine/base/error.h"
#include "proto/ipc.pb.h"

namespace cryostat::ipc {

// Those of the caller's IPC namespace, with their values. What each process wants undone when it
// ends (SEM_UNDO) can't be seen: a warning names sets that were ever operated on.
Result<void> collect_semaphores(pb::IpcNamespace& image);
// In a new namespace.
Result<void> create_semaphores(const pb::IpcNamespace& image);

}  // namespace cryostat::ipc
