// Dump half of the descriptor room: the descriptor tables of the target, read from outside.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "engine/base/error.h"
#include "engine/base/ids.h"
#include "engine/files/external.h"

namespace cryostat {
class Refusals;
namespace memory {
class SharedMemoryTable;
}
class TaskHandle;
}  // namespace cryostat
namespace cryostat::image {
class CheckpointWriter;
}
namespace cryostat::pb {
class DescriptorTable;
class Description;
}  // namespace cryostat::pb

namespace cryostat::files {

struct CollectOptions {
  bool shell_job = false;         // terminals may be saved as "the terminal of the job"
  bool file_locks = false;        // locks may be saved; while there is no target, nobody holds them
  bool link_remap = false;        // files linked elsewhere may get a link for the checkpoint
  bool skip_in_flight = false;    // connections that were not accepted yet may be left out
  bool ext_unix_sockets = false;  // datagram sockets may be connected to others outside
  uint64_t ghost_limit_bytes = 1u << 20;  // largest deleted-but-open file whose content is saved
  // Processes of the target that have ended and were not collected by their parents (wait(2)).
  std::vector<HostPid> zombies = {};
  // What lies outside and is handed in at the restore.
  std::vector<ExternalName> external = {};
  // Numbers of the root that are the engine's own for the time of the dump: skipped.
  std::vector<RemoteFd> engine_fds;
  // Of each task: the first one with the same descriptor table (CLONE_FILES), an index; empty: each
  // has its own.
  std::vector<size_t> table_leaders = {};
  bool leads_table(size_t task) const {
    return table_leaders.empty() || table_leaders[task] == task;
  }
};

// What was found: image records ready to be written, and copies of the deleted files whose content
// is still to be read.
class FilesCollection {
 public:
  FilesCollection();
  FilesCollection(FilesCollection&&) noexcept;
  FilesCollection& operator=(FilesCollection&&) noexcept;
  ~FilesCollection();

  size_t description_count() const;
  size_t descriptor_count() const;
  // The description of the master of the pseudoterminal with this device number (tty_nr of
  // proc_pid_stat(5)); 0 when the target has none.
  uint32_t find_pty(uint32_t tty_nr) const;
  // The session that a pseudoterminal of the target controls, and the master's description, of all
  // that control one.
  std::vector<std::pair<int32_t, uint32_t>> controlled_sessions() const;
  // Descriptions opened as /dev/tty: the pseudoterminal behind each, and the first task that has a
  // number of it (an index).
  std::vector<std::pair<uint32_t, size_t>> own_terminals() const;
  // The checkpoint is complete: links made for it (--link-remap) stay. Without this call they go
  // with the collection.
  void keep_links();
  // Of the table of the nth task; goes into pb::Task.descriptor_table_id.
  static uint32_t table_id(size_t task) { return static_cast<uint32_t>(task + 1); }

  struct Data;
  Data& data() { return *data_; }
  const Data& data() const { return *data_; }

 private:
  std::unique_ptr<Data> data_;
};

// Reads /proc/<pid>/fd and fdinfo of every task, copies of the descriptors (pidfd_getfd(2)) and
// kcmp(2); the tasks run no code for it. Root first; a table that several tasks have is read once.
// Precondition: every thread is stopped under ptrace by the caller. Objects that can't be saved are
// added to `refusals`, one line each; other failures are returned.
Result<FilesCollection> collect_descriptors(std::span<const TaskHandle* const> tasks,
                                            const CollectOptions& options,
                                            memory::SharedMemoryTable& shared_memory,
                                            Refusals& refusals);

// Writes files.img: descriptions, ghost content (read now: the target must still be frozen), the
// tables. Ghosts are streamed in chunks of 1 MiB at most.
Result<void> write_files(const FilesCollection& collection, image::CheckpointWriter& writer);

}  // namespace cryostat::files
