#include "engine/task/write.h"

#include "engine/image/checkpoint_writer.h"
#include "engine/task/collect.h"

namespace cryostat::task {

Result<void> write_task(const CollectedTask& collected, image::CheckpointWriter& writer) {
  TRY(writer.append(image::FileType::kTasks, collected.task));
  for (const auto& thread : collected.threads) {
    TRY(writer.append(image::FileType::kTasks, thread));
  }
  return {};
}

}  // namespace cryostat::task
