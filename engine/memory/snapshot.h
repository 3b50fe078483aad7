// How the memory of the tasks is held still while it is written: the choice, and the copies.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "engine/base/error.h"
#include "engine/infect/memory_copy.h"
#include "engine/memory/page_transfer.h"

namespace cryostat {
class FosterNamespace;
class InfectedTask;
class SeizedTask;
class TaskHandle;
}  // namespace cryostat

namespace cryostat::memory {

enum class SnapshotMode : uint8_t {
  kAuto,  // kCow where it pays and can be done
  kStop,  // a task stays frozen while its pages are written
  kCow,   // the memory is forked, the task goes on, the copy is written; kStop where it can't be
};

// A copy of one task's memory.
struct Snapshot {
  MemoryCopy copy;
  // What fork left out and was written while frozen (dump_left_out_pages()).
  std::vector<StoredRun> left_out;
};

// Makes the copies of one dump. All tasks are frozen when the first is made and go on after the
// last, so that all show the same instant.
class Snapshots {
 public:
  // `leave_running`: the tasks are to go on.
  Snapshots(SnapshotMode mode, bool leave_running);
  ~Snapshots();

  // While the tasks still run: looks whether there is room for copies of all of them, and prepares
  // what takes time. Where kCow was asked for and can't be, a warning says why. Errors:
  // kTargetGone for the first one.
  Result<void> prepare(std::span<const TaskHandle* const> tasks);

  // Forks the memory of a task, which has `private_bytes` of its own, of which `to_write_bytes` go
  // into the checkpoint; nothing where it stays stopped instead: a fork that fails is told in a
  // warning. The snapshot has to end before this object. Precondition: the task is frozen and
  // infected.
  Result<std::optional<Snapshot>> take(const SeizedTask& seized, InfectedTask& infected,
                                       uint64_t private_bytes, uint64_t to_write_bytes);

 private:
  Result<std::string> why_not(std::span<const TaskHandle* const> tasks);
  Result<const FosterNamespace*> foster_of(uint32_t owner);
  bool pays(uint64_t private_bytes, uint64_t to_write_bytes) const;
  void fall_back(const std::string& reason);

  const SnapshotMode mode_;
  bool wanted_;
  std::map<uint32_t, std::unique_ptr<FosterNamespace>> fosters_;  // by owner
};

}  // namespace cryostat::memory
