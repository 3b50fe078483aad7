// What the tasks of a tree have in common beyond descriptions and memory pages (clone(2)): the
// address space itself, descriptor table, file system attributes, signal handlers.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <vector>

#include "engine/base/error.h"

namespace cryostat {
class TaskHandle;
}

namespace cryostat::task {

enum class Resource : uint8_t {
  kAddressSpace,    // CLONE_VM
  kDescriptors,     // CLONE_FILES
  kFileSystem,      // CLONE_FS: root, working directory, umask
  kSignalHandlers,  // CLONE_SIGHAND
  kCount,
};

class TaskSharing {
 public:
  // Found with kcmp(2), in n log n comparisons. Precondition: all threads of the tasks are stopped.
  // Errors: kFailed without kcmp(2) when there is more than one task.
  static Result<TaskSharing> find(std::span<const TaskHandle* const> tasks);

  // The first task (an index) that has the same one; the task itself when there is none before it.
  size_t leader(Resource resource, size_t task) const { return leaders_of(resource)[task]; }
  bool leads(Resource resource, size_t task) const { return leader(resource, task) == task; }
  // Some other task has it too.
  bool is_shared(Resource resource, size_t task) const;
  const std::vector<size_t>& leaders_of(Resource resource) const {
    return leaders_[static_cast<size_t>(resource)];
  }

 private:
  std::array<std::vector<size_t>, static_cast<size_t>(Resource::kCount)> leaders_;
};

}  // namespace cryostat::task
