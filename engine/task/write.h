// Writes a collected task into tasks.img.
#pragma once

#include "engine/base/error.h"

namespace cryostat::image {
class CheckpointWriter;
}

namespace cryostat::task {

struct CollectedTask;

// Appends the Task record and its Thread records, leader first. Precondition: address_space_id and
// descriptor_table_id are set.
Result<void> write_task(const CollectedTask& collected, image::CheckpointWriter& writer);

}  // namespace cryostat::task
