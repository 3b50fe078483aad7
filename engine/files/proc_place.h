// Files and directories of the proc file system that are about a task.
#pragma once

#include <string>

#include "engine/base/error.h"
#include "engine/files/open_description.h"

namespace cryostat::files {

// What lies in /proc/<number> belongs to a task: after a restore it is there only if it is the
// target's own, and what is about its other threads is not there yet when descriptors are opened.
// kRefused for those; everything else, and other file systems, are fine. `path` as located.
Result<void> check_proc_place(const OpenDescription& description, const std::string& path);

// Whether `path` lies in the folder of some task, which comes to life with it.
bool is_in_task_folder(const std::string& path);

}  // namespace cryostat::files
