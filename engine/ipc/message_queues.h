// System V message queues (msgget(2)).
#pragma once

#include "engine/base/error.h"
#include "proto/ipc.pb.h"

namespace cryostat::ipc {

// Those of the caller's IPC namespace with all messages, which stay where they are (MSG_COPY,
// msgrcv(2), needs CONFIG_CHECKPOINT_RESTORE).
Result<void> collect_message_queues(pb::IpcNamespace& image);
// In a new namespace.
Result<void> create_message_queues(const pb::IpcNamespace& image);

}  // namespace cryostat::ipc
