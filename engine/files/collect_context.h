// What descriptor kinds share while the descriptors of the target are collected.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <utility>
#include <vector>

#include "engine/base/error.h"
#include "engine/base/ids.h"
#include "engine/files/collect.h"
#include "engine/files/in_flight.h"
#include "engine/files/link_remap.h"
#include "engine/files/open_description.h"
#include "engine/net/inet_diag.h"
#include "engine/net/sock_diag.h"
#include "engine/procfs/mountinfo.h"

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
                 const std::vector<OpenDescription>& descriptions, const FilesInFlight& in_flight);

  // The tasks whose tables are collected; a DescriptorSlot's `table` is an index into it.
  std::span<const TaskHandle* const> tasks() const { return tasks_; }
  // Whether the process is one of them, or has ended and is still to be collected by its parent.
  bool is_member(HostPid pid) const;
  bool is_zombie(HostPid pid) const;
  const CollectOptions& options() const { return options_; }
  memory::SharedMemoryTable& shared_memory() { return shared_memory_; }

  // Every open description there is, by id.
  const std::vector<OpenDescription>& descriptions() const { return all_; }
  // The open description behind a number of a table; nullptr when it is closed.
  const OpenDescription* description_at(uint32_t table, int fd) const;
  // Every open description of the same object (both ends of a pipe, say), `description` included.
  std::vector<const OpenDescription*> same_object(const OpenDescription& description) const;
  // The open description of the object with this device and inode; nullptr when there is none.
  const OpenDescription* with_inode(dev_t device, ino_t inode) const;
  const OpenDescription& description(uint32_t id) const { return all_[id - 1]; }
  // Our own descriptor of a description, to look at (pidfd_getfd(2)).
  Result<UniqueFd> copy_of(const OpenDescription& description) const;
  // What waits in a UNIX socket.
  const FilesInFlight& in_flight() const { return in_flight_; }
  // kcmp(2): is the file an epoll instance watches as `watched_fd` the one that a slot names?
  // `nth` counts the watches this instance has under the same number, from 0.
  Result<bool> watches(const OpenDescription& epoll, int watched_fd, uint32_t nth,
                       const DescriptorSlot& slot) const;

  // The one id of this deleted file; opened for reading the first time.
  Result<uint32_t> ghost_id(const OpenDescription& description, std::string path);
  // A number for an object several descriptions share, the same for the same object, from 1.
  uint32_t object_id(const OpenDescription& description);

  // The id of a deleted file that is also mapped: it is saved as shared memory, once. 0: not
  // mapped.
  Result<uint32_t> mapped_deleted_file(const OpenDescription& description, const std::string& path);

  // The mounts of the target's mount namespace, read the first time.
  Result<std::span<const procfs::Mount>> mounts();

  // The device of the job's terminal, as the first descriptor of it told.
  std::optional<uint64_t> job_terminal_rdev;

  // Reads the UNIX sockets of this network namespace into `unix_sockets`, the first time.
  Result<void> read_unix_sockets();
  net::UnixSocketTable unix_sockets;
  // senders_of_unseen(), when it was asked.
  std::optional<std::set<std::string>> unseen_datagrams;
  // Lets the kernel look for sockets that nobody can reach any more (unix(7)), once, and reads
  // `unix_sockets` again, until the one with this inode is gone. False, with nothing done, if that
  // was tried before.
  bool collect_unix_garbage(uint64_t inode);

  // The TCP and UDP sockets of this network namespace.
  net::InetDiag inet_diag;

  // Ids of BPF maps whose elements are saved already.
  std::set<uint32_t> bpf_maps;

  RemapLinks remap_links;

  std::vector<PendingGhost> take_ghosts() { return std::move(ghosts_); }

 private:
  const FilesInFlight& in_flight_;
  const std::span<const TaskHandle* const> tasks_;
  const CollectOptions& options_;
  memory::SharedMemoryTable& shared_memory_;
  const std::vector<OpenDescription>& all_;
  std::unordered_multimap<ino_t, const OpenDescription*> by_inode_;
  std::unordered_map<uint64_t, const OpenDescription*> by_slot_;  // table << 32 | number
  std::unordered_set<pid_t> live_;
  std::unordered_set<pid_t> zombies_;
  std::vector<PendingGhost> ghosts_;
  std::map<std::pair<dev_t, ino_t>, uint32_t> ghost_ids_;
  std::optional<std::vector<procfs::Mount>> mounts_;
  bool garbage_collected_ = false;
};

}  // namespace cryostat::files
