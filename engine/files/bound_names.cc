#include "engine/files/bound_names.h"

#include <dirent.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <linux/close_range.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <set>

#include "engine/files/brief_process.h"
#include "engine/files/file_place.h"
#include "engine/image/files_image.h"
#include "engine/net/sock_diag.h"
#include "engine/net/unix_name.h"

namespace cryostat::files {

namespace {

// Only what the tasks have made there: no folder of anybody else's is gone into.
void remove_folder(int at, const char* name) {
  const int fd = openat(at, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
  DIR* const folder = fd < 0 ? nullptr : fdopendir(fd);
  if (folder == nullptr) {
    if (fd >= 0) close(fd);
    return;
  }
  while (const auto* entry = readdir(folder)) {
    const std::string_view child = entry->d_name;
    if (child == "." || child == "..") continue;
    if (unlinkat(fd, entry->d_name, 0) != 0) remove_folder(fd, entry->d_name);
  }
  closedir(folder);
  (void)unlinkat(at, name, AT_REMOVEDIR);
}

bool exists(const std::string& path) {
  struct stat st;
  return lstat(path.c_str(), &st) == 0;
}

}  // namespace

const pb::UnixName* name_with_file(const image::FilesImage& image, uint32_t description) {
  const auto& kind = image.description(description);
  const auto& socket = kind.has_unix_listener()   ? kind.unix_listener().socket()
                       : kind.has_unix_datagram() ? kind.unix_datagram()
                                                  : kind.unix_socket_pair();
  return socket.accepted() || socket.name().path().empty() ? nullptr : &socket.name();
}

Result<BoundNames> BoundNames::prepare(const image::FilesImage& image) {
  BoundNames names;
  names.room_ = fmt::format(".cryostat-sockets.{}", getpid());
  std::set<std::string> folders;
  for (const auto& description : image.descriptions) {
    const auto* name = name_with_file(image, description.id());
    if (name == nullptr) continue;
    names.names_.push_back({description.id(), name, exists(name->path())});
    folders.insert(directory_of(name->path()) + "/" + names.room_);
  }
  if (folders.empty()) return names;
  names.folders_.assign(folders.begin(), folders.end());
  TRY(names.watch());
  for (const auto& folder : names.folders_)
    if (mkdir(folder.c_str(), 0700) != 0) return fail_errno(fmt::format("make {}", folder));
  return names;
}

BoundNames::BoundNames(BoundNames&& other) noexcept
    : room_(std::move(other.room_)),
      folders_(std::move(other.folders_)),
      names_(std::move(other.names_)),
      guard_(std::move(other.guard_)) {
  other.folders_.clear();
}

// In a grandchild, which nobody has to wait for, in a session of its own.
Result<void> BoundNames::watch() {
  int pair[2];
  if (pipe2(pair, O_CLOEXEC) != 0) return fail_errno("create a pipe");
  const UniqueFd end(pair[0]);
  guard_.reset(pair[1]);
  const pid_t child = fork_out_of_the_way();
  if (child < 0) return fail_errno("create a process");
  if (child == 0) {
    if (fork_out_of_the_way() != 0) _exit(0);
    setsid();
    sigset_t all;
    sigfillset(&all);
    (void)sigprocmask(SIG_BLOCK, &all, nullptr);
    const auto kept = static_cast<unsigned>(end.get());
    if (kept > 0) (void)close_range(0, kept - 1, 0);
    (void)close_range(kept + 1, ~0u, 0);
    char done = 0;
    // Tasks that are still about to die may make something meanwhile.
    if (read(static_cast<int>(kept), &done, 1) == 0)
      for (int attempt = 0; attempt < 1000 && !undo(); ++attempt) usleep(5000);
    _exit(0);
  }
  while (waitpid(child, nullptr, __WALL) < 0 && errno == EINTR) {
  }
  return {};
}

bool BoundNames::undo() const {
  for (const auto& name : names_)
    if (!name.was_there && net::is_file_of(*name.name)) (void)unlink(name.name->path().c_str());
  for (const auto& folder : folders_) remove_folder(AT_FDCWD, folder.c_str());
  return std::ranges::none_of(folders_, exists);
}

Result<void> BoundNames::publish() {
  for (const auto& [id, name, was_there] : names_) {
    const auto folder = directory_of(name->path()) + "/" + room_;
    const UniqueFd room(open(folder.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
    if (!room) return fail_errno(fmt::format("open {}", folder));
    const auto file = std::to_string(id);
    TRY(net::finish_unix_file(room.get(), file, *name));
    const bool replaced = was_there && net::is_file_of(*name);
    if (renameat2(room.get(), file.c_str(), AT_FDCWD, name->path().c_str(),
                  replaced ? 0 : RENAME_NOREPLACE) != 0) {
      auto error = Error::from_errno(
          errno, fmt::format("put UNIX socket {} in its place", net::show_unix_name(*name)));
      return tl::unexpected(errno == EEXIST ? std::move(error).as(ErrorKind::kMachine)
                                            : std::move(error));
    }
  }
  return {};
}

void BoundNames::keep() {
  for (const auto& folder : folders_) remove_folder(AT_FDCWD, folder.c_str());
  folders_.clear();
  if (guard_) (void)!write(guard_.get(), "k", 1);
  guard_.reset();
}

BoundNames::~BoundNames() {
  if (folders_.empty()) return;
  (void)undo();
  keep();
}

}  // namespace cryostat::files
