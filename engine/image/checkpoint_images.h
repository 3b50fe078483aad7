// Everything a restore reads from a checkpoint but page data, loaded and checked against each
// other.
#pragma once

#include "engine/base/error.h"
#include "engine/image/files_image.h"
#include "engine/image/mm_image.h"
#include "engine/image/pagemap_image.h"
#include "engine/image/task_image.h"

namespace cryostat::image {

class Chain;

struct CheckpointImages {
  TasksImage tasks;
  MmImage mm;
  FilesImage files;
  PagemapImage pagemap;
};

// Besides each file's own checks: address space and descriptor table of each task exist, page runs
// lie inside mappings or objects, memfds exist, the manifest's pids are the tasks'. The pagemap is
// the chain's. Errors: kImages; kRefused for a pre-dump, which has no tasks.
Result<CheckpointImages> load_images(const Chain& chain);

}  // namespace cryostat::image
