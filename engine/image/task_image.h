// tasks.img, loaded.
#pragma once

#include <vector>

#include "engine/base/error.h"
#include "proto/task.pb.h"

namespace cryostat::image {

class CheckpointReader;

struct TaskImage {
  pb::Task task;
  std::vector<pb::Thread> threads;  // leader first; empty for a zombie, and only for one
};

struct TasksImage {
  std::vector<TaskImage> tasks;  // parents first; never empty
  const TaskImage& root() const { return tasks.front(); }
};

// Checked: thread counts, leader tid equals pid, no tid twice, register sets of the right size,
// signal numbers, siginfo sizes. Errors: kImages.
Result<TasksImage> load_tasks(const CheckpointReader& reader);

}  // namespace cryostat::image
