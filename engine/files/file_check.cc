#include "engine/files/file_check.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>

#include "engine/base/plan_report.h"
#include "engine/files/restore_context.h"

namespace cryostat::files {

std::string type_name(uint32_t mode) {
  switch (mode & S_IFMT) {
    case S_IFREG:
      return "regular file";
    case S_IFDIR:
      return "directory";
    case S_IFLNK:
      return "symbolic link";
    case S_IFIFO:
      return "FIFO";
    case S_IFCHR:
      return "character device";
    case S_IFBLK:
      return "block device";
    case S_IFSOCK:
      return "socket";
    default:
      return fmt::format("file of type {:#o}", mode & S_IFMT);
  }
}

bool check_type(CheckContext& context, const std::string& path, uint32_t mode, PlanReport& report,
                uint64_t* size_bytes) {
  struct stat st;
  if (lstat(path.c_str(), &st) != 0) {
    if (context.first_time(path)) {
      report.missing(path,
                     Error::from_errno(errno, "was open at the dump").as(ErrorKind::kMachine));
    }
    return false;
  }
  if ((st.st_mode & S_IFMT) != (mode & S_IFMT)) {
    if (context.first_time(path)) {
      report.missing(path,
                     fmt::format("was a {}, is a {} now", type_name(mode), type_name(st.st_mode)));
    }
    return false;
  }
  if (size_bytes != nullptr) *size_bytes = static_cast<uint64_t>(st.st_size);
  return true;
}

Result<UniqueFd> open_same_type(const std::string& path, uint32_t flags, uint32_t mode) {
  UniqueFd fd(open(path.c_str(), static_cast<int>(flags) | O_CLOEXEC));
  // O_NOATIME is for the owner and CAP_FOWNER only (open(2)); a process that changed its user may
  // hold such a description all the same.
  if (!fd && errno == EPERM && (flags & O_NOATIME) != 0)
    fd.reset(open(path.c_str(),
                  static_cast<int>(flags & ~static_cast<uint32_t>(O_NOATIME)) | O_CLOEXEC));
  if (!fd) {
    const int error = errno;
    auto failure = Error::from_errno(error, fmt::format("open {}", path));
    if (error == ENOENT || error == ENOTDIR || error == ENXIO || error == EROFS || error == ETXTBSY)
      failure = std::move(failure).as(ErrorKind::kMachine);
    return tl::unexpected(std::move(failure));
  }
  struct stat st;
  if (fstat(fd.get(), &st) != 0) return fail_errno(fmt::format("stat {}", path));
  if ((st.st_mode & S_IFMT) != (mode & S_IFMT)) {
    return fail(ErrorKind::kMachine, fmt::format("{} was a {}, is a {} now", path, type_name(mode),
                                                 type_name(st.st_mode)));
  }
  return fd;
}

}  // namespace cryostat::files
