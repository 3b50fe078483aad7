#include "engine/memory/shared_memory.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <linux/magic.h>
#include <sys/stat.h>
#include <sys/vfs.h>

#include <cerrno>

namespace cryostat::memory {

namespace {

// Page size of the file's hugetlbfs, 0 when it lies elsewhere.
Result<uint64_t> hugetlb_page_size(int fd) {
  struct statfs fs = {};
  if (fstatfs(fd, &fs) != 0) return fail_errno("statfs a shared memory object");
  return fs.f_type == HUGETLBFS_MAGIC ? static_cast<uint64_t>(fs.f_bsize) : 0;
}

}  // namespace

Result<uint32_t> SharedMemoryTable::intern(int fd, SharedMemoryKind kind, std::string name) {
  struct stat status = {};
  if (fstat(fd, &status) != 0) return fail_errno(fmt::format("stat shared memory `{}`", name));
  const auto key = std::pair(status.st_dev, status.st_ino);
  const bool sysv = kind == SharedMemoryKind::kSysv;
  if (sysv && find_sysv(static_cast<int>(status.st_ino)) != 0)
    return find_sysv(static_cast<int>(status.st_ino));
  if (const auto known = ids_.find(key); !sysv && known != ids_.end()) return known->second;

  const std::string link = fmt::format("/proc/self/fd/{}", fd);
  SharedMemoryObject object;
  object.fd = UniqueFd(open(link.c_str(), O_RDONLY | O_CLOEXEC | O_NOCTTY));
  if (!object.fd) return fail_errno(fmt::format("open shared memory `{}` for reading", name));
  // EINVAL: a file system without seals.
  const int seals = fcntl(object.fd.get(), F_GET_SEALS);
  object.id = static_cast<uint32_t>(objects_.size() + 1);
  object.kind = kind;
  object.name = std::move(name);
  object.size_bytes = static_cast<uint64_t>(status.st_size);
  object.seals = seals < 0 ? 0 : static_cast<uint32_t>(seals);
  object.mode = status.st_mode;
  object.uid = status.st_uid;
  object.gid = status.st_gid;
  object.hugetlb_page_size_bytes = TRY(hugetlb_page_size(object.fd.get()));
  object.device = status.st_dev;
  object.inode = status.st_ino;
  objects_.push_back(std::move(object));
  if (sysv)
    segments_[static_cast<int>(key.second)] = objects_.back().id;
  else
    ids_[key] = objects_.back().id;
  return objects_.back().id;
}

uint32_t SharedMemoryTable::find_sysv(int segment) const {
  const auto known = segments_.find(segment);
  return known == segments_.end() ? 0 : known->second;
}

uint32_t SharedMemoryTable::find(dev_t device, ino_t inode) const {
  const auto known = ids_.find({device, inode});
  return known == ids_.end() ? 0 : known->second;
}

}  // namespace cryostat::memory
