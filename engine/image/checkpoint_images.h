// Everything a restore reads from a checkpoint but page data, loaded and checked against each
// other.
#pragma once

#include "engine/base/error.h"
#include "engine/image/files_image.h"
#include "engine/image/mm_image.h"
#include "engine/image/pagemap_image.h"
#include "engine/image/task_image.h"

namespace cryostat::image {

class CheckpointReader;

struct CheckpointImages {
  TasksImage tasks;
  MmImage mm;
  FilesImage files;
  PagemapImage pagemap;
};

// Besides each file's own checks: address space and descriptor table of each task exist, page runs
// lie inside mappings or objects, memfds exist, the manifest's pids are the tasks'. Errors:
// kImages.
Result<CheckpointImages> load_images(const CheckpointReader& reader);

}  // namespace cryostat::image
