// A still copy of a target's memory: forked inside the kernel, it stays as it is while the target
// goes on.
#pragma once

#include <memory>

#include "engine/base/deadline.h"
#include "engine/base/error.h"
#include "engine/base/ids.h"

namespace cryostat {

class FosterNamespace;
class InfectedTask;
class SeizedTask;
class TaskHandle;

// Guard over the copy: a process of the engine that ends with this object and with the engine. The
// target can't tell that it exists: it is no child of the target's, has none of its descriptors
// and makes no signal when it ends (docs/memory.md). What fork(2) leaves out is not in it:
// MADV_DONTFORK areas, the content of MADV_WIPEONFORK ones; hugetlb pages may vanish from it.
class MemoryCopy {
 public:
  // Precondition: `target` infected, stopped and without seccomp filters of its own (the fork runs
  // under them); `foster` is owned by its effective uid and outlives the copy. The target is as
  // before afterwards, with or without success. Errors: the kernel's for fork(2) (memory, limits
  // on processes) and setns(2); the target's descriptor table is full.
  static Result<MemoryCopy> fork(const SeizedTask& seized, InfectedTask& target,
                                 const FosterNamespace& foster);
  MemoryCopy(MemoryCopy&&) noexcept;
  MemoryCopy& operator=(MemoryCopy&&) = delete;
  ~MemoryCopy();

  HostPid pid() const;
  // Takes the copy over; the target may run already. To be called before the rest.
  Result<void> open(const Deadline& deadline, const StopRequest& stop);
  const TaskHandle& task() const;
  InfectedTask& infected();
  // Ends the copy; what the destructor does, but told.
  Result<void> end();

 private:
  class Impl;
  explicit MemoryCopy(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace cryostat
