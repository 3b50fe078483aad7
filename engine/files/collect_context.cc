#include "engine/files/collect_context.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <linux/kcmp.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>

#include "engine/memory/shared_memory.h"
#include "engine/procfs/task_handle.h"

namespace cryostat::files {

namespace {

bool same_inode(const struct stat& a, const struct stat& b) {
  return a.st_dev == b.st_dev && a.st_ino == b.st_ino;
}

// The inode column of a line of /proc/<pid>/maps: "start-end perms offset dev inode path".
uint64_t maps_inode(std::string_view line) {
  for (int column = 0; column < 4; ++column) {
    const auto blank = line.find(' ');
    if (blank == std::string_view::npos) return 0;
    line.remove_prefix(blank + 1);
  }
  uint64_t inode = 0;
  for (const char c : line) {
    if (c < '0' || c > '9') break;
    inode = inode * 10 + static_cast<uint64_t>(c - '0');
  }
  return inode;
}

// Does the task map this deleted file?
Result<bool> maps_file(const TaskHandle& task, const struct stat& file) {
  const auto maps = TRY(task.proc().read("maps"));
  std::string_view rest = maps;
  while (!rest.empty()) {
    const auto line = rest.substr(0, rest.find('\n'));
    rest.remove_prefix(std::min(rest.size(), line.size() + 1));
    if (!line.ends_with(" (deleted)") || maps_inode(line) != file.st_ino) continue;
    // The device column of maps is not st_dev on every file system: ask the mapping itself.
    struct stat st;
    const auto range = std::string(line.substr(0, line.find(' ')));
    if (fstatat(task.proc().fd(), ("map_files/" + range).c_str(), &st, 0) != 0) continue;
    if (same_inode(st, file)) return true;
  }
  return false;
}

uint64_t slot_key(uint32_t table, int fd) {
  return uint64_t{table} << 32 | static_cast<uint32_t>(fd);
}

}  // namespace

CollectContext::CollectContext(std::span<const TaskHandle* const> tasks,
                               const CollectOptions& options,
                               memory::SharedMemoryTable& shared_memory,
                               const std::vector<OpenDescription>& descriptions,
                               const FilesInFlight& in_flight)
    : in_flight_(in_flight),
      tasks_(tasks),
      options_(options),
      shared_memory_(shared_memory),
      all_(descriptions) {
  by_inode_.reserve(all_.size());
  for (const auto& description : all_) {
    by_inode_.emplace(description.st.st_ino, &description);
    for (const auto& slot : description.slots)
      by_slot_.emplace(slot_key(slot.table, slot.fd.value), &description);
  }
  for (const TaskHandle* task : tasks_) live_.insert(task->pid().value);
  for (const HostPid pid : options_.zombies) zombies_.insert(pid.value);
}

bool CollectContext::is_member(HostPid pid) const {
  return live_.contains(pid.value) || is_zombie(pid);
}

bool CollectContext::is_zombie(HostPid pid) const { return zombies_.contains(pid.value); }

const OpenDescription* CollectContext::description_at(uint32_t table, int fd) const {
  const auto found = by_slot_.find(slot_key(table, fd));
  return found == by_slot_.end() ? nullptr : found->second;
}

std::vector<const OpenDescription*> CollectContext::same_object(
    const OpenDescription& description) const {
  std::vector<const OpenDescription*> found;
  const auto [first, last] = by_inode_.equal_range(description.st.st_ino);
  for (auto it = first; it != last; ++it)
    if (same_inode(it->second->st, description.st)) found.push_back(it->second);
  std::sort(found.begin(), found.end(), [](auto* a, auto* b) { return a->id < b->id; });
  return found;
}

const OpenDescription* CollectContext::with_inode(dev_t device, ino_t inode) const {
  const auto [first, last] = by_inode_.equal_range(inode);
  for (auto it = first; it != last; ++it)
    if (it->second->st.st_dev == device && !it->second->is_path_only()) return it->second;
  return nullptr;
}

Result<UniqueFd> CollectContext::copy_of(const OpenDescription& description) const {
  return description.task->get_fd(description.fd());
}

Result<std::span<const procfs::Mount>> CollectContext::mounts() {
  if (!mounts_)
    mounts_ = TRY(procfs::parse_mountinfo(TRY(tasks_.front()->proc().read("mountinfo"))));
  return std::span<const procfs::Mount>(*mounts_);
}

Result<void> CollectContext::read_unix_sockets() {
  if (unix_sockets.size() != 0) return {};
  unix_sockets = TRY(net::UnixSocketTable::read());
  return {};
}

bool CollectContext::collect_unix_garbage(uint64_t inode) {
  if (std::exchange(garbage_collected_, true)) return false;
  // The end of a socket starts it; it works in the background.
  for (int attempt = 0; attempt < 20; ++attempt) {
    UniqueFd(socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0)).reset();
    auto table = net::UnixSocketTable::read();
    if (!table) break;
    unix_sockets = std::move(*table);
    if (unix_sockets.find(inode) == nullptr) break;
    usleep(1000);
  }
  return true;
}

Result<bool> CollectContext::watches(const OpenDescription& epoll, int watched_fd, uint32_t nth,
                                     const DescriptorSlot& slot) const {
  struct kcmp_epoll_slot watch = {};
  watch.efd = static_cast<uint32_t>(epoll.fd().value);
  watch.tfd = static_cast<uint32_t>(watched_fd);
  watch.toff = nth;
  const long order = syscall(SYS_kcmp, tasks_[slot.table]->pid().value, epoll.task->pid().value,
                             KCMP_EPOLL_TFD, slot.fd.value, &watch);
  if (order >= 0) return order == 0;
  if (errno == EBADF || errno == ENOENT) return false;
  return fail_errno(fmt::format("kcmp watch on {} of {}", watched_fd, epoll.label()));
}

uint32_t CollectContext::object_id(const OpenDescription& description) {
  // The lowest description of the object is always there and stands for it.
  return same_object(description).front()->id;
}

Result<uint32_t> CollectContext::ghost_id(const OpenDescription& description, std::string path) {
  const std::pair file(description.st.st_dev, description.st.st_ino);
  const auto known = ghost_ids_.find(file);
  if (known != ghost_ids_.end()) return known->second;
  // A description of our own: readable whatever the target's is, and its position is free to move.
  UniqueFd content(open(fmt::format("/proc/self/fd/{}", description.copy.get()).c_str(),
                        O_RDONLY | O_CLOEXEC | O_NOATIME));
  if (!content) {
    content.reset(open(fmt::format("/proc/self/fd/{}", description.copy.get()).c_str(),
                       O_RDONLY | O_CLOEXEC));
  }
  if (!content) return fail_errno(fmt::format("open deleted file {}", path));
  PendingGhost ghost;
  ghost.id = static_cast<uint32_t>(ghosts_.size() + 1);
  ghost.path = std::move(path);
  ghost.st = description.st;
  ghost.content = std::move(content);
  ghost_ids_.emplace(file, ghost.id);
  ghosts_.push_back(std::move(ghost));
  return ghosts_.back().id;
}

Result<uint32_t> CollectContext::mapped_deleted_file(const OpenDescription& description,
                                                     const std::string& path) {
  const auto known = shared_memory_.find(description.st.st_dev, description.st.st_ino);
  if (known != 0) return known;
  for (const auto& slot : description.slots) {
    if (slot.table == kNoTable) continue;
    if (TRY(maps_file(*tasks_[slot.table], description.st)))
      return shared_memory_.intern(description.copy.get(), memory::SharedMemoryKind::kDeletedFile,
                                   path);
  }
  return 0;
}

}  // namespace cryostat::files
