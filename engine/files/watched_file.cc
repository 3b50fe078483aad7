#include "engine/files/watched_file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include <array>
#include <climits>
#include <cstring>
#include <optional>
#include <vector>

#include "engine/files/collect_context.h"
#include "engine/procfs/task_handle.h"

namespace cryostat::files {

namespace {

using procfs::Mount;
using procfs::WatchedInode;

uint32_t kernel_device(const Mount& mount) { return mount.dev_major << 20 | mount.dev_minor; }

// What a path leads to, if that is the inode on this mount's file system.
std::optional<WatchedFile> lead(const std::string& path, const Mount& mount,
                                const WatchedInode& inode) {
  struct stat st;
  if (lstat(path.c_str(), &st) != 0 || st.st_ino != inode.inode ||
      st.st_dev != makedev(mount.dev_major, mount.dev_minor))
    return std::nullopt;
  return WatchedFile{path, st.st_mode};
}

UniqueFd open_handle(const std::string& mount_point, const WatchedInode& inode) {
  // Not O_PATH: open_by_handle_at(2) takes no such descriptor.
  const UniqueFd mount(open(mount_point.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!mount) return UniqueFd();
  std::vector<char> memory(sizeof(struct file_handle) + inode.handle.size());
  auto* handle = reinterpret_cast<struct file_handle*>(memory.data());
  handle->handle_bytes = static_cast<unsigned>(inode.handle.size());
  handle->handle_type = inode.handle_type;
  std::memcpy(handle->f_handle, inode.handle.data(), inode.handle.size());
  return UniqueFd(open_by_handle_at(mount.get(), handle, O_PATH | O_CLOEXEC));
}

std::string path_of(int fd) {
  std::array<char, PATH_MAX> text;
  const auto length =
      readlink(fmt::format("/proc/self/fd/{}", fd).c_str(), text.data(), text.size());
  return length > 0 ? std::string(text.data(), static_cast<size_t>(length)) : std::string();
}

Failure refuse(const std::string& what, std::string_view why) {
  return fail(ErrorKind::kRefused, fmt::format("{} {}, it can't be checkpointed", what, why));
}

}  // namespace

Result<WatchedFile> find_watched(CollectContext& context, const WatchedInode& inode,
                                 const std::string& what) {
  for (const auto& mount : TRY(context.mounts())) {
    if (kernel_device(mount) != inode.device) continue;
    if (auto found = lead(mount.mount_point, mount, inode)) return std::move(*found);
    if (inode.handle_type < 0) continue;
    const auto file = open_handle(mount.mount_point, inode);
    if (!file) continue;
    struct stat st;
    if (fstat(file.get(), &st) == 0 && st.st_nlink == 0)
      return refuse(what, "is on a deleted file");
    if (auto found = lead(path_of(file.get()), mount, inode)) return std::move(*found);
  }
  // Perhaps the target has it open.
  for (const auto& other : context.descriptions()) {
    struct stat st;
    if (other.st.st_ino == inode.inode && other.link.starts_with('/') &&
        lstat(other.link.c_str(), &st) == 0 && st.st_ino == inode.inode &&
        st.st_dev == other.st.st_dev &&
        (gnu_dev_major(st.st_dev) << 20 | gnu_dev_minor(st.st_dev)) == inode.device)
      return WatchedFile{other.link, st.st_mode};
  }
  return refuse(what, fmt::format("is on inode {} of device {}:{}, which no path is known for",
                                  inode.inode, inode.device >> 20, inode.device & 0xfffff));
}

Result<std::string> find_mount(CollectContext& context, int mount_id, const std::string& what) {
  for (const auto& mount : TRY(context.mounts()))
    if (mount.id == mount_id) return mount.mount_point;
  return refuse(what, fmt::format("is on mount {}, which is not the target's", mount_id));
}

Result<std::string> find_file_system(CollectContext& context, uint32_t device,
                                     const std::string& what) {
  for (const auto& mount : TRY(context.mounts()))
    if (kernel_device(mount) == device) return mount.mount_point;
  return refuse(what, "is on a file system that is mounted nowhere here");
}

}  // namespace cryostat::files
