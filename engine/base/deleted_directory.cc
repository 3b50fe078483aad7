#include "engine/base/deleted_directory.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include "engine/base/unbroken.h"

namespace cryostat {

namespace {

// The name it got.
Result<std::string> make(const std::string& path) {
  if (mkdir(path.c_str(), 0700) == 0) return path;
  if (errno == EEXIST) {
    auto beside = fmt::format("{}.cryostat-{}", path, getpid());
    if (mkdir(beside.c_str(), 0700) == 0) return beside;
  }
  const int error = errno;
  auto failure = Error::from_errno(error, fmt::format("create the deleted directory {}", path));
  if (error == ENOENT || error == ENOTDIR || error == EROFS)
    failure = std::move(failure).as(ErrorKind::kMachine);
  return tl::unexpected(std::move(failure));
}

Result<UniqueFd> make_and_remove(const std::string& path, const DirectoryAttributes& attributes,
                                 int flags) {
  const auto name = TRY(make(path));
  UniqueFd fd(open(name.c_str(), flags | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  int error = fd ? 0 : errno;
  // By name: the descriptor may be one of O_PATH. After the owner: chown(2) may clear bits.
  if (error == 0 && chown(name.c_str(), attributes.uid, attributes.gid) != 0) error = errno;
  if (error == 0 && chmod(name.c_str(), attributes.mode & 07777) != 0) error = errno;
  if (rmdir(name.c_str()) != 0 && error == 0) error = errno;
  if (error != 0) return fail_errno(error, fmt::format("create the deleted directory {}", path));
  return fd;
}

}  // namespace

Result<UniqueFd> create_deleted_directory(const std::string& path,
                                          const DirectoryAttributes& attributes, int flags) {
  Result<UniqueFd> fd;
  run_unbroken([&] { fd = make_and_remove(path, attributes, flags); });
  return fd;
}

}  // namespace cryostat
