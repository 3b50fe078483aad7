// System V shared memory (shmget(2)). Its content is saved and filled in like that of all shared
// memory; attachments are mappings.
#pragma once

#include "engine/base/error.h"
#include "engine/memory/shared_memory.h"
#include "proto/ipc.pb.h"

namespace cryostat::ipc {

// Those of the caller's IPC namespace. Segments that no task of the target has attached (and
// `memory` does not know) are attached for a moment, which the segment remembers (shm_lpid).
// Refused: segments of huge pages.
Result<void> collect_segments(memory::SharedMemoryTable& memory, pb::IpcNamespace& image);
// In a new namespace; contents are filled in by the tasks.
Result<void> create_segments(const pb::IpcNamespace& image);
// Marks those that were to go with their last attachment: when all tasks have attached theirs.
Result<void> remove_segments(const pb::IpcNamespace& image);

}  // namespace cryostat::ipc
