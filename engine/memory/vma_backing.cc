#include "engine/memory/vma_backing.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <linux/magic.h>
#include <sys/sysmacros.h>
#include <sys/vfs.h>

#include <string_view>

#include "engine/memory/shared_memory.h"
#include "engine/procfs/maps.h"
#include "engine/procfs/task_handle.h"

#ifndef OVERLAYFS_SUPER_MAGIC
#define OVERLAYFS_SUPER_MAGIC 0x794c7630
#endif

namespace cryostat::memory {

namespace {

constexpr std::string_view kDeleted = " (deleted)";
constexpr std::string_view kSysvPrefix = "/SYSV";
constexpr std::string_view kMemfdPrefix = "/memfd:";

VmaBacking refused(std::string reason) {
  VmaBacking backing;
  backing.refusal = std::move(reason);
  return backing;
}

VmaBacking file_backing(uint32_t id) {
  VmaBacking backing;
  backing.backing = pb::Vma::FILE;
  backing.file_id = id;
  return backing;
}

VmaBacking object_backing(uint32_t id) {
  VmaBacking backing;
  backing.backing = pb::Vma::SHARED_MEMORY;
  backing.shared_memory_id = id;
  return backing;
}

// Why a mapping with this name can't be saved; empty for ordinary names.
std::string_view refused_by_name(std::string_view path) {
  struct Known {
    std::string_view prefix;
    std::string_view reason;
  };
  static constexpr Known kKnown[] = {
      {"/[aio]", "asynchronous I/O context (io_setup(2)) can't be checkpointed"},
      {"[aio]", "asynchronous I/O context (io_setup(2)) can't be checkpointed"},
      {"anon_inode:[io_uring]", "io_uring mapping can't be checkpointed"},
      {"anon_inode:[perf_event]", "perf event buffer can't be checkpointed"},
      {"anon_inode:bpf", "BPF map mapping can't be checkpointed"},
      {"anon_inode:", "mapping of a kernel object can't be checkpointed"},
      {"socket:", "packet socket ring can't be checkpointed"},
      {kSysvPrefix, "System V shared memory of cr-dump's own IPC namespace can't be checkpointed"},
      {"/secretmem", "secret memory (memfd_secret(2)) can't be checkpointed"},
      {"/dmabuf:", "DMA buffer can't be checkpointed"},
      {"/i915", "graphics memory can't be checkpointed"},
      {"/drm mm object", "graphics memory can't be checkpointed"},
  };
  for (const Known& known : kKnown)
    if (path.starts_with(known.prefix)) return known.reason;
  return {};
}

bool is_dev_zero(const struct stat& status) {
  return S_ISCHR(status.st_mode) && status.st_rdev == makedev(1, 5);
}

bool same_file(const struct stat& a, const struct stat& b) {
  return a.st_dev == b.st_dev && a.st_ino == b.st_ino;
}

// On overlayfs procfs may show the file of the layer below (before 6.8 in maps, always in
// map_files): the device differs then, but not number, size and time.
bool same_overlay_file(int fd, const struct stat& mapped, const struct stat& found) {
  struct statfs fs = {};
  return fstatfs(fd, &fs) == 0 && fs.f_type == OVERLAYFS_SUPER_MAGIC &&
         mapped.st_ino == found.st_ino && mapped.st_size == found.st_size &&
         mapped.st_mtim.tv_sec == found.st_mtim.tv_sec &&
         mapped.st_mtim.tv_nsec == found.st_mtim.tv_nsec;
}

Failure map_files_failure(int errno_value, const std::string& what) {
  Error error = Error::from_errno(errno_value, what);
  if (errno_value == EPERM)
    return Failure(
        std::move(error).with_hint("mapped files are identified through /proc/PID/map_files, which "
                                   "needs CAP_CHECKPOINT_RESTORE or CAP_SYS_ADMIN"));
  return Failure(std::move(error));
}

}  // namespace

Result<VmaBacking> BackingFinder::find(const procfs::SmapsEntry& entry) {
  const bool own_segment = shared_memory_.sysv_allowed() && entry.name.starts_with(kSysvPrefix);
  if (const auto reason = refused_by_name(entry.name); !reason.empty() && !own_segment)
    return refused(std::string(reason));
  MappedFileTable::Use use;
  use.executable = entry.executable;
  use.writable = entry.shared && entry.flags.has(procfs::VmFlags::kMayWrite);
  const uint64_t device = makedev(entry.dev_major, entry.dev_minor);
  const auto key = std::tuple(device, entry.inode, entry.name);
  if (const auto known = known_files_.find(key); known != known_files_.end()) {
    mapped_files_.use(known->second, use);
    return file_backing(known->second);
  }
  Subject subject;
  subject.link = fmt::format("map_files/{:x}-{:x}", entry.start, entry.end);
  subject.path = entry.name;
  subject.deleted = entry.deleted;
  subject.maps_device = device;
  if (fstatat(task_.proc().fd(), subject.link.c_str(), &subject.status, 0) != 0)
    return map_files_failure(errno, fmt::format("stat {}/{}", task_.proc().path(), subject.link));
  const VmaBacking backing = TRY(find_subject(subject, use, entry.shared));
  if (backing.file_id != 0) known_files_[key] = backing.file_id;
  return backing;
}

Result<VmaBacking> BackingFinder::find_exe() {
  Subject subject;
  subject.link = "exe";
  subject.path = TRY(task_.proc().read_link("exe"));
  if (subject.path.ends_with(kDeleted)) {
    subject.deleted = true;
    subject.path.resize(subject.path.size() - kDeleted.size());
  }
  if (fstatat(task_.proc().fd(), "exe", &subject.status, 0) != 0)
    return fail_errno(fmt::format("stat {}/exe", task_.proc().path()));
  MappedFileTable::Use use;
  use.executable = true;
  return find_subject(subject, use, false);
}

Result<VmaBacking> BackingFinder::find_subject(Subject& subject, MappedFileTable::Use use,
                                               bool shared) {
  const bool regular = S_ISREG(subject.status.st_mode);
  if (!regular && !is_dev_zero(subject.status))
    return refused(fmt::format("mapping of `{}` (a device or kernel object) can't be checkpointed",
                               subject.path));
  if (subject.deleted && subject.status.st_nlink == 0) return find_object(subject, shared);

  const Opened* file = TRY(open_by_path(subject));
  if (!file->refusal.empty()) return refused(file->refusal);
  return file_backing(TRY(mapped_files_.intern(file->fd.get(), subject.status, file->path, use)));
}

// Opens what the path leads to and makes sure that it is the file that is mapped.
Result<const BackingFinder::Opened*> BackingFinder::open_by_path(const Subject& subject) {
  auto [known, is_new] =
      opened_.try_emplace({subject.status.st_dev, subject.status.st_ino, subject.path});
  Opened& opened = known->second;
  if (!is_new) return &opened;
  // A file may really be called "x (deleted)".
  opened.path = subject.deleted ? subject.path + std::string(kDeleted) : subject.path;
  opened.fd = UniqueFd(open(opened.path.c_str(), O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK));
  if (!opened.fd && (errno == EACCES || errno == EPERM))
    return fail_errno(fmt::format("open mapped file {}", opened.path));
  struct stat found = {};
  const bool there = opened.fd.valid() && fstat(opened.fd.get(), &found) == 0;
  if (there && (same_file(found, subject.status) ||
                (found.st_dev == subject.maps_device && found.st_ino == subject.status.st_ino) ||
                same_overlay_file(opened.fd.get(), subject.status, found)))
    return &opened;
  opened.fd.reset();
  if (subject.deleted)
    opened.refusal =
        fmt::format("mapped file `{}` was deleted but still has other links: its path is unknown",
                    subject.path);
  else
    opened.refusal = fmt::format("mapped file `{}`: the path {}", subject.path,
                                 there ? "leads to another file now" : "leads nowhere");
  return &opened;
}

Result<VmaBacking> BackingFinder::find_object(const Subject& subject, bool shared) {
  const UniqueFd fd(openat(task_.proc().fd(), subject.link.c_str(), O_PATH | O_CLOEXEC));
  if (!fd)
    return map_files_failure(errno, fmt::format("open {}/{}", task_.proc().path(), subject.link));
  using enum SharedMemoryKind;
  if (subject.path.starts_with(kSysvPrefix))
    return object_backing(TRY(shared_memory_.intern(fd.get(), kSysv, "")));
  if (subject.path.starts_with(kMemfdPrefix))
    return object_backing(
        TRY(shared_memory_.intern(fd.get(), kMemfd, subject.path.substr(kMemfdPrefix.size()))));
  if (subject.path == "/dev/zero" || subject.path == "/anon_hugepage" ||
      subject.path.starts_with("[anon_shmem:")) {
    if (!shared) return VmaBacking{};  // private huge pages: the file is the kernel's own device
    return object_backing(TRY(shared_memory_.intern(fd.get(), kAnonymousShared, "")));
  }
  return keep_deleted(subject);
}

Result<VmaBacking> BackingFinder::keep_deleted(const Subject& subject) {
  const UniqueFd fd(
      openat(task_.proc().fd(), subject.link.c_str(), O_RDONLY | O_CLOEXEC | O_NOCTTY));
  if (!fd)
    return map_files_failure(errno, fmt::format("open {}/{}", task_.proc().path(), subject.link));
  struct statfs fs = {};
  if (fstatfs(fd.get(), &fs) != 0) return fail_errno(fmt::format("statfs {}", subject.path));
  // A file in tmpfs is memory; one on disk is a ghost like any deleted file that is open.
  const auto size = static_cast<uint64_t>(subject.status.st_size);
  const bool in_memory = fs.f_type == TMPFS_MAGIC || fs.f_type == HUGETLBFS_MAGIC;
  if (!in_memory && size > ghost_limit_bytes_)
    return refused(
        fmt::format("mapped file `{}` is deleted and has {} bytes, more than --ghost-limit ({})",
                    subject.path, size, ghost_limit_bytes_));
  return object_backing(
      TRY(shared_memory_.intern(fd.get(), SharedMemoryKind::kDeletedFile, subject.path)));
}

}  // namespace cryostat::memory
