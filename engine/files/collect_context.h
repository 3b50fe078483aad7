// What descriptor kinds share while the descriptors of the target are collected.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "engine/base/error.h"
#include "engine/base/ids.h"
#include "engine/files/collect.h"
#include "engine/files/open_description.h"

namespace cryostat::files {

// A deleted file whose content is to be saved.
struct PendingGhost {
  uint32_t id = 0;  // from 1
  std::string path;
  struct stat st = {};
  UniqueFd content;  // open for reading, a description of our own
};

class CollectContext {
 public:
  CollectContext(std::span<const TaskHandle* const> tasks, const CollectOptions& options,
                 memory::SharedMemoryTable& shared_memory,
                 const std::vector<OpenDescription>& descriptions)
      : tasks_(tasks), options_(options), shared_memory_(shared_memory), all_(descriptions) {}

  // The tasks whose tables are collected; a DescriptorSlot's `table` is an index into it.
  std::span<const TaskHandle* const> tasks() const { return tasks_; }
  // Whether the process is one of them.
  bool is_member(HostPid pid) const;
  const CollectOptions& options() const { return options_; }
  memory::SharedMemoryTable& shared_memory() { return shared_memory_; }

  // The open description behind a number of a table; nullptr when it is closed.
  const OpenDescription* description_at(uint32_t table, int fd) const;
  // Every open description of the same object (both ends of a pipe, say), `description` included.
  std::vector<const OpenDescription*> same_object(const OpenDescription& description) const;
  // kcmp(2): is the file an epoll instance watches as `fd` the one that `fd` names now in a table?
  // `nth` counts the watches this instance has under the same number, from 0.
  Result<bool> watches_current_file(const OpenDescription& epoll, uint32_t table, int fd,
                                    uint32_t nth) const;

  // The one id of this deleted file; opened for reading the first time.
  Result<uint32_t> ghost_id(const OpenDescription& description, std::string path);
  // A number for an object several descriptions share, the same for the same object, from 1.
  uint32_t object_id(const OpenDescription& description);

  // The id of a deleted file that is also mapped: it is saved as shared memory, once. 0: not
  // mapped.
  Result<uint32_t> mapped_deleted_file(const OpenDescription& description, const std::string& path);

  // The device of the job's terminal, as the first descriptor of it told.
  std::optional<uint64_t> job_terminal_rdev;

  std::vector<PendingGhost> take_ghosts() { return std::move(ghosts_); }

 private:
  const std::span<const TaskHandle* const> tasks_;
  const CollectOptions& options_;
  memory::SharedMemoryTable& shared_memory_;
  const std::vector<OpenDescription>& all_;
  std::vector<PendingGhost> ghosts_;
};

}  // namespace cryostat::files
