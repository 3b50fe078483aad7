#include "engine/net/binding_room.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <linux/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>

#include "engine/net/sock_diag.h"
#include "engine/net/unix_address.h"

namespace cryostat::net {

namespace {

Result<UniqueFd> open_folder(int at, const char* path) {
  UniqueFd fd(openat(at, path, O_PATH | O_DIRECTORY | O_CLOEXEC));
  if (!fd) return fail_errno(fmt::format("open {}", path));
  return fd;
}

Result<UniqueFd> mount_nowhere() {
  const UniqueFd context(static_cast<int>(syscall(SYS_fsopen, "tmpfs", FSOPEN_CLOEXEC)));
  if (!context ||
      syscall(SYS_fsconfig, context.get(), FSCONFIG_CMD_CREATE, nullptr, nullptr, 0) != 0)
    return fail_errno("create a file system for the names of UNIX sockets");
  UniqueFd mount(static_cast<int>(syscall(SYS_fsmount, context.get(), FSMOUNT_CLOEXEC, 0)));
  if (!mount) return fail_errno("mount a file system for the names of UNIX sockets");
  return mount;
}

}  // namespace

Result<void> bind_abstract(int socket, std::string_view name) {
  const auto address = TRY(UnixAddress::of(name));
  if (::bind(socket, address.get(), address.length) == 0) return {};
  auto error = Error::from_errno(errno, fmt::format("bind a socket to {}", show_unix_name(name)));
  return tl::unexpected(errno == EADDRINUSE ? std::move(error).as(ErrorKind::kMachine)
                                            : std::move(error));
}

Result<BindingRoom> BindingRoom::hidden() {
  BindingRoom room;
  room.home_ = TRY(mount_nowhere());
  TRY(room.open_surroundings());
  return room;
}

Result<BindingRoom> BindingRoom::in(const std::string& path) {
  BindingRoom room;
  room.home_ = TRY(open_folder(AT_FDCWD, path.c_str()));
  TRY(room.open_surroundings());
  return room;
}

Result<void> BindingRoom::open_surroundings() {
  root_ = TRY(open_folder(AT_FDCWD, "/"));
  directory_ = TRY(open_folder(AT_FDCWD, "."));
  return begin_workplace();
}

Result<void> BindingRoom::begin_workplace() {
  const auto name = fmt::format("work.{}.{}", getpid(), workplaces_++);
  if (mkdirat(home_.get(), name.c_str(), 0700) != 0)
    return fail_errno("make a folder for the names of UNIX sockets");
  UniqueFd workplace = TRY(open_folder(home_.get(), name.c_str()));
  if (workplace_) {
    // At the number of the one before.
    if (dup3(workplace.get(), workplace_.get(), O_CLOEXEC) < 0) return fail_errno("dup3");
  } else {
    workplace_ = std::move(workplace);
  }
  folders_.clear();
  return {};
}

Result<void> BindingRoom::enter() const {
  if (fchdir(workplace_.get()) != 0 || chroot(".") != 0)
    return fail_errno("enter a folder for the names of UNIX sockets");
  return {};
}

Result<void> BindingRoom::leave() const {
  if (fchdir(root_.get()) != 0 || chroot(".") != 0 || fchdir(directory_.get()) != 0)
    return fail_errno("go back to the root directory");
  return {};
}

Result<void> BindingRoom::make_parents(const std::string& path) {
  for (size_t slash = path.find('/', 1); slash != std::string::npos;
       slash = path.find('/', slash + 1)) {
    auto folder = path.substr(0, slash);
    if (folders_.contains(folder)) continue;
    if (mkdir(folder.c_str(), 0700) != 0 && errno != EEXIST)
      return fail_errno(fmt::format("make a folder like {}", folder));
    folders_.insert(std::move(folder));
  }
  return {};
}

Result<void> BindingRoom::bind_inside(int socket, const std::string& path,
                                      const std::string& keep_as) {
  const auto address = TRY(UnixAddress::of(path));
  TRY(make_parents(path));
  if (::bind(socket, address.get(), address.length) != 0)
    return fail_errno(fmt::format("bind a socket to {}", show_unix_name(path)));
  // Whoever it is that is to be noted as connected to it may.
  if (chmod(path.c_str(), 0777) != 0) return fail_errno("change the mode of a socket's file");
  const int done = keep_as.empty() ? unlink(path.c_str())
                                   : renameat(AT_FDCWD, path.c_str(), home_.get(), keep_as.c_str());
  if (done != 0) return fail_errno("put a socket's file away");
  return {};
}

Result<void> BindingRoom::bind(int socket, std::string_view name, const std::string& keep_as) {
  if (is_abstract(name)) return bind_abstract(socket, name);
  const std::string path(name);
  // Where a folder for another name is in the way, a fresh workplace has none.
  for (int attempt = 0;; ++attempt) {
    TRY(enter());
    auto done = bind_inside(socket, path, keep_as);
    TRY(leave());
    if (done || attempt > 0 || workplaces_ == 0) return done;
    const int error = done.error().errno_value();
    if (error != EADDRINUSE && error != ENOTDIR) return done;
    TRY(begin_workplace());
  }
}

Result<void> BindingRoom::move_fds(const std::function<Result<UniqueFd>(UniqueFd)>& keep) {
  for (UniqueFd* fd : {&home_, &workplace_, &root_, &directory_}) *fd = TRY(keep(std::move(*fd)));
  return {};
}

}  // namespace cryostat::net
