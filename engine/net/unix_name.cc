#include "engine/net/unix_name.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <climits>

#include "engine/base/plan_report.h"
#include "engine/net/sock_diag.h"
#include "engine/net/unix_address.h"
#include "proto/sockets.pb.h"

namespace cryostat::net {

namespace {

constexpr int64_t kNsPerSecond = 1'000'000'000;

int64_t mtime_ns(const struct stat& st) {
  return st.st_mtim.tv_sec * kNsPerSecond + st.st_mtim.tv_nsec;
}

Result<std::string> path_of(int file) {
  std::array<char, PATH_MAX> text;
  const auto length =
      readlink(fmt::format("/proc/self/fd/{}", file).c_str(), text.data(), text.size());
  if (length < 0) return fail_errno("find the path of a UNIX socket");
  return std::string(text.data(), static_cast<size_t>(length));
}

std::string folder_of(const std::string& path) {
  const auto slash = path.rfind('/');
  return slash == 0 || slash == std::string::npos ? "/" : path.substr(0, slash);
}

void check_file(const pb::UnixName& image, PlanReport& report) {
  const auto subject = fmt::format("UNIX socket {}", show_unix_name(image));
  struct stat st;
  if (lstat(image.path().c_str(), &st) != 0) {
    if (errno != ENOENT) {
      report.missing(subject, Error::from_errno(errno, "its file was there at the dump"));
    } else if (const auto folder = folder_of(image.path()); access(folder.c_str(), F_OK) != 0) {
      report.missing(subject, fmt::format("there is no folder {} any more", folder));
    } else {
      report.ok(subject, "its file is made again");
    }
    return;
  }
  if (!is_file_of(image)) {
    report.missing(subject, "another file is there now",
                   fmt::format("remove {} if nobody needs it", image.path()));
  } else if (is_unix_name_in_use(image.path())) {
    report.missing(subject, "a socket is bound to it", "end the process that has it");
  } else {
    report.ok(subject, "its file is that of the dump");
  }
}

}  // namespace

Result<void> read_unix_name(int socket, NameFile whose, pb::UnixName& image) {
  const auto address = own_unix_name(socket);
  image.set_address(address);
  if (is_abstract(address) || whose == NameFile::kOfListener) return {};
  const auto file = TRY(open_unix_file(socket));
  struct stat st;
  if (!file) return {};
  if (fstat(file.get(), &st) != 0) return fail_errno("stat the file of a UNIX socket");
  if (st.st_nlink == 0) return {};
  const auto path = TRY(path_of(file.get()));
  struct stat found;
  if (lstat(path.c_str(), &found) != 0 || found.st_dev != st.st_dev || found.st_ino != st.st_ino) {
    return fail(ErrorKind::kRefused,
                fmt::format("UNIX socket {} whose file can't be reached from here (hidden by a "
                            "mount, linked elsewhere or of another root directory) can't be "
                            "checkpointed",
                            show_unix_name(address)));
  }
  image.set_path(path);
  image.set_mode(st.st_mode);
  image.set_uid(st.st_uid);
  image.set_gid(st.st_gid);
  image.set_mtime_ns(mtime_ns(st));
  return {};
}

std::string show_unix_name(const pb::UnixName& image) {
  return show_unix_name(image.path().empty() ? image.address() : image.path());
}

bool is_file_of(const pb::UnixName& image) {
  struct stat st;
  return lstat(image.path().c_str(), &st) == 0 && S_ISSOCK(st.st_mode) &&
         st.st_mode == image.mode() && st.st_uid == image.uid() && st.st_gid == image.gid() &&
         mtime_ns(st) == image.mtime_ns();
}

void check_unix_name(const pb::UnixName& image, PlanReport& report) {
  if (!image.path().empty()) return check_file(image, report);
  if (!is_abstract(image.address())) return;  // deleted: nobody can be in the way
  const auto subject = fmt::format("UNIX socket {}", show_unix_name(image));
  if (is_unix_name_in_use(image.address())) {
    report.missing(subject, "another socket has this name", "end the process that has it");
  } else {
    report.ok(subject, "free");
  }
}

Result<void> finish_unix_file(int folder, const std::string& file, const pb::UnixName& image) {
  const std::array<timespec, 2> times = {
      timespec{0, UTIME_OMIT},
      timespec{image.mtime_ns() / kNsPerSecond, image.mtime_ns() % kNsPerSecond}};
  if (fchownat(folder, file.c_str(), image.uid(), image.gid(), AT_SYMLINK_NOFOLLOW) != 0 ||
      fchmodat(folder, file.c_str(), image.mode() & 07777, 0) != 0 ||
      utimensat(folder, file.c_str(), times.data(), AT_SYMLINK_NOFOLLOW) != 0)
    return fail_errno(fmt::format("give {} its owner, mode and time", image.path()));
  return {};
}

}  // namespace cryostat::net
