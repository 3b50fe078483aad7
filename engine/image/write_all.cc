#include "engine/image/write_all.h"

#include <fmt/format.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <cerrno>

#include "engine/image/record_writer.h"

namespace cryostat::image {

Error write_error(int errno_value, int fd, const std::string& path, uint64_t bytes_left) {
  Error error = Error::from_errno(errno_value, fmt::format("write {}", path));
  if (errno_value == EDQUOT)
    return std::move(error).with_hint(
        fmt::format("the disk quota is used up; {} more bytes are needed at least", bytes_left));
  if (errno_value != ENOSPC) return error;
  struct statvfs info {};
  const uint64_t free_bytes =
      fstatvfs(fd, &info) == 0 ? uint64_t{info.f_bavail} * info.f_frsize : 0;
  // Not the bytes: the file system has no room for another file (tmpfs nr_inodes, ext4 inodes).
  if (free_bytes > bytes_left && info.f_favail == 0) {
    return std::move(error).with_hint(
        "the file system has no inode left; remove some files or choose another folder with -D");
  }
  return std::move(error).with_hint(fmt::format(
      "the file system is full: {} bytes are free, {} more are needed at least; free some "
      "space or choose another folder with -D",
      free_bytes, bytes_left));
}

Result<void> write_all(int fd, const void* bytes, size_t size, const std::string& path) {
  const auto* next = static_cast<const uint8_t*>(bytes);
  while (size > 0) {
    const ssize_t written = write(fd, next, size);
    if (written < 0) {
      if (errno == EINTR) continue;
      return tl::unexpected(write_error(errno, fd, path, size));
    }
    next += written;
    size -= static_cast<size_t>(written);
  }
  return {};
}

Result<void> pwrite_all(int fd, const void* bytes, size_t size, uint64_t offset,
                        const std::string& path) {
  const auto* next = static_cast<const uint8_t*>(bytes);
  while (size > 0) {
    const ssize_t written = pwrite(fd, next, size, static_cast<off_t>(offset));
    if (written < 0) {
      if (errno == EINTR) continue;
      return tl::unexpected(write_error(errno, fd, path, size));
    }
    next += written;
    offset += static_cast<uint64_t>(written);
    size -= static_cast<size_t>(written);
  }
  return {};
}

}  // namespace cryostat::image
