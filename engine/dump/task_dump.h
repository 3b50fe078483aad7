// One live task of the tree during a dump: frozen, infected, collected, its memory written, cured
// and released.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "engine/base/deadline.h"
#include "engine/base/error.h"
#include "engine/base/progress.h"
#include "engine/base/refusals.h"
#include "engine/dump/options.h"
#include "engine/infect/infected_task.h"
#include "engine/memory/address_space.h"
#include "engine/memory/dump_pages.h"
#include "engine/memory/increment.h"
#include "engine/memory/snapshot.h"
#include "engine/memory/vdso_images.h"
#include "engine/procfs/task_handle.h"
#include "engine/ptrace/seized_task.h"
#include "engine/task/collect.h"
#include "engine/task/sleep_clock.h"
#include "proto/stats.pb.h"

namespace cryostat::image {
class CheckpointWriter;
}
namespace cryostat::memory {
class MappedFileTable;
class PageTransfer;
class SharedMemoryTable;
class VmaReader;
}  // namespace cryostat::memory

namespace cryostat::dump {

// What the address spaces of a tree have in common, by what each of them refers to it.
struct MemoryTables {
  memory::SharedMemoryTable& shared_memory;
  memory::MappedFileTable& mapped_files;
  memory::VdsoImages& vdso_images;
};

// Members are destroyed in reverse order: the parasite is cured before its task is released.
class TaskDump {
 public:
  explicit TaskDump(TaskHandle handle) : handle_(std::move(handle)) {}
  TaskDump(const TaskDump&) = delete;
  TaskDump& operator=(const TaskDump&) = delete;

  const TaskHandle& handle() const { return handle_; }
  HostPid pid() const { return handle_.pid(); }

  // Before the freeze: how long its sleeping threads still have.
  void sample_sleeps() { sleeps_ = task::sample_sleeps(handle_); }

  // Before freeze(), while its control group is frozen: see SeizedTask::begin().
  Result<void> begin_freeze();
  Result<void> freeze(const Deadline& deadline, const StopRequest& stop);
  bool is_frozen() const { return seized_.has_value(); }
  Result<void> inject(const Deadline& deadline, const StopRequest& stop, StubRoom room);

  Result<void> collect_task(Refusals& refusals);
  // `id`: of its address space in the images. `vmas`: was asked for the task. `sharers`: other
  // tasks that have the same address space (CLONE_VM), whose parasites are in it.
  Result<void> collect_memory(uint32_t id, const std::vector<TaskDump*>& sharers,
                              const Options& options, memory::VmaReader& vmas,
                              const MemoryTables& tables, Refusals& refusals);
  // Reads the tracker and forks its memory, if that is to be (`snapshots`).
  Result<void> take_snapshot(memory::Snapshots& snapshots, memory::Increment& increment);
  // Copies its pages into the checkpoint; of those that were forked only what is not in the fork.
  // `tree`: when nothing was forked, what other tasks have of the same pages.
  Result<void> write_memory(const Options& options, const memory::TreePages& tree,
                            image::CheckpointWriter& writer, const StopRequest& stop,
                            Progress& progress);
  // The fork, once the task runs again. Precondition: was_copied().
  Result<void> open_copy(const Options& options, const StopRequest& stop);
  const TaskHandle& copy() const { return snapshot_->copy.task(); }
  // Copies the pages of the opened fork, no faster than `limit`, and ends it.
  Result<void> write_copy(const Options& options, const memory::TreePages& tree, RateLimit& limit,
                          image::CheckpointWriter& writer, const StopRequest& stop,
                          Progress& progress);
  Result<void> cure();
  Result<void> release(SeizedTask::Mode mode);

  // What was found; preconditions: the stage that finds it.
  SeizedTask& seized() { return *seized_; }
  InfectedTask& infected() { return *infected_; }
  task::CollectedTask& collected() { return *task_; }
  const task::CollectedTask& collected() const { return *task_; }
  memory::AddressSpaceState& space() { return *space_; }
  const memory::AddressSpaceState& space() const { return *space_; }
  const memory::PageCounts& pages() const { return pages_; }
  const std::string& transfer_name() const { return transfer_name_; }
  bool was_copied() const { return was_copied_; }  // by a fork
  pb::TaskDumpStats stats() const;

 private:
  Result<bool> parasite_pays(const Options& options, const image::CheckpointWriter& writer);
  // Of the task itself or of the fork.
  Result<std::unique_ptr<memory::PageTransfer>> make_transfer(InfectedTask& infected, HostPid pid,
                                                              const Options& options,
                                                              image::CheckpointWriter& writer);

  TaskHandle handle_;
  task::SleepSamples sleeps_;
  std::optional<SeizedTask> seized_;
  std::optional<InfectedTask> infected_;
  std::optional<task::CollectedTask> task_;
  std::optional<memory::AddressSpaceState> space_;
  std::optional<memory::SpaceIncrement> changes_;
  bool compares_content_ = false;
  std::optional<memory::Snapshot> snapshot_;
  bool was_copied_ = false;
  memory::PageCounts pages_;
  std::string transfer_name_;
};

}  // namespace cryostat::dump
