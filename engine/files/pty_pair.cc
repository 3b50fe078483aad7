#include "engine/files/pty_pair.h"

#include <asm/termbits.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include <array>
#include <charconv>
#include <climits>
#include <cstring>
#include <vector>

#include "engine/files/collect_context.h"
#include "engine/procfs/task_handle.h"
#include "proto/pty.pb.h"

namespace cryostat::files {

namespace {

constexpr unsigned kSlaveMajor = 136;  // Documentation/admin-guide/devices.txt
const dev_t kMultiplexer = makedev(5, 2);
constexpr unsigned kTerminalMajor = 5;            // /dev/tty, /dev/console: another terminal behind
constexpr unsigned long kGetDevice = 0x80045432;  // TIOCGDEV
constexpr uint32_t kMaxIndex = 1u << 20;          // NR_UNIX98_PTY_MAX

template <typename T>
std::string bytes_of(const T& value) {
  return std::string(reinterpret_cast<const char*>(&value), sizeof value);
}

template <typename T>
Result<T> value_of(const std::string& bytes, const char* what) {
  T value;
  if (bytes.size() != sizeof value)
    return fail(ErrorKind::kImages, fmt::format("{} of an unknown size", what));
  std::memcpy(&value, bytes.data(), sizeof value);
  return value;
}

// The slave's number, from our copy of a terminal; nothing for one that is no pseudoterminal.
std::optional<uint32_t> slave_index(int fd) {
  unsigned device = 0;
  if (ioctl(fd, kGetDevice, &device) != 0 || major(device) != kSlaveMajor) return std::nullopt;
  return minor(device);
}

// Where the devpts of this master shows its slaves, "/dev/pts/" as a rule. devpts is mounted beside
// a /dev/ptmx device node, or the node is its own.
std::string slave_path_of(const OpenDescription& master, uint32_t index) {
  const auto folder = master.link.substr(0, master.link.rfind('/'));
  return folder.ends_with("/pts") ? fmt::format("{}/{}", folder, index)
                                  : fmt::format("{}/pts/{}", folder, index);
}

// Another devpts instance can have the same number; its slave is another file then.
bool is_other_instance(const OpenDescription& master, const OpenDescription& slave,
                       uint32_t index) {
  struct stat st;
  return major(slave.st.st_rdev) == kSlaveMajor &&
         stat(slave_path_of(master, index).c_str(), &st) == 0 &&
         (st.st_dev != slave.st.st_dev || st.st_ino != slave.st.st_ino);
}

Failure index_taken(uint32_t index, uint32_t got) {
  return tl::unexpected(
      Error(ErrorKind::kMachine,
            fmt::format("pseudoterminal {} is in use, the next free one is {}", index, got))
          .with_hint("end what uses it, or restore in a mount namespace with a new devpts"));
}

}  // namespace

bool is_pty_master(const OpenDescription& description) {
  return S_ISCHR(description.st.st_mode) && description.st.st_rdev == kMultiplexer;
}

std::optional<uint32_t> master_index(const OpenDescription& master) {
  constexpr std::string_view kKey = "tty-index:";
  for (const std::string_view line : master.info.extra) {
    if (!line.starts_with(kKey)) continue;
    auto text = line.substr(kKey.size());
    text.remove_prefix(std::min(text.size(), text.find_first_not_of(" \t")));
    uint32_t index = 0;
    if (std::from_chars(text.data(), text.data() + text.size(), index).ec == std::errc())
      return index;
  }
  return std::nullopt;
}

Result<const OpenDescription*> find_master(CollectContext& context,
                                           const OpenDescription& terminal) {
  const auto index = slave_index(terminal.copy.get());
  const OpenDescription* found = nullptr;
  if (!index) return found;
  for (const auto& other : context.descriptions()) {
    if (!is_pty_master(other) || other.is_path_only() || master_index(other) != index ||
        is_other_instance(other, terminal, *index))
      continue;
    if (found != nullptr)
      return fail(ErrorKind::kRefused,
                  fmt::format("{}: two pseudoterminals {} of different devpts instances can't be "
                              "checkpointed",
                              terminal.link, *index));
    found = &other;
  }
  return found;
}

Result<bool> has_slave(CollectContext& context, const OpenDescription& master) {
  const auto index = master_index(master);
  for (const auto& other : context.descriptions()) {
    if (!S_ISCHR(other.st.st_mode) || other.is_path_only() || is_pty_master(other)) continue;
    const auto kind = major(other.st.st_rdev);
    if (kind != kSlaveMajor && kind != kTerminalMajor) continue;
    const auto copy = TRY(other.task->get_fd(other.fd()));
    // A slave that was hung up answers EIO.
    if (slave_index(copy.get()) == index && !is_other_instance(master, other, *index)) return true;
  }
  return false;
}

Result<UniqueFd> open_own_slave(int master) {
  int locked = 0;
  const int unlock = 0;
  if (ioctl(master, TIOCGPTLCK, &locked) != 0) return fail_errno("TIOCGPTLCK");
  if (locked != 0 && ioctl(master, TIOCSPTLCK, &unlock) != 0) return fail_errno("TIOCSPTLCK");
  UniqueFd slave(ioctl(master, TIOCGPTPEER, O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC));
  const int error = errno;
  if (locked != 0 && ioctl(master, TIOCSPTLCK, &locked) != 0) return fail_errno("TIOCSPTLCK");
  if (!slave) return fail_errno(error, "open the slave of a pseudoterminal (TIOCGPTPEER)");
  return slave;
}

Result<UniqueFd> create_master(const std::string& ptmx_path, uint32_t index) {
  if (index >= kMaxIndex) return fail(ErrorKind::kImages, "pseudoterminal with a bad number");
  // Tasks of one tree are restored side by side; each holds lower numbers for a moment.
  const auto folder = ptmx_path.substr(0, ptmx_path.rfind('/') + 1);
  const UniqueFd turn(open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!turn || flock(turn.get(), LOCK_EX) != 0) return fail_errno(fmt::format("lock {}", folder));
  std::vector<UniqueFd> lower;  // held until ours comes
  for (;;) {
    UniqueFd master(open(ptmx_path.c_str(), O_RDWR | O_NOCTTY | O_CLOEXEC));
    if (!master) return fail_errno(fmt::format("open {}", ptmx_path));
    unsigned got = 0;
    const int unlock = 0;
    if (ioctl(master.get(), TIOCGPTN, &got) != 0)
      return fail(ErrorKind::kMachine, fmt::format("{} is no longer a terminal", ptmx_path));
    if (got > index) return index_taken(index, got);
    if (got < index) {
      lower.push_back(std::move(master));
      continue;
    }
    if (ioctl(master.get(), TIOCSPTLCK, &unlock) != 0) return fail_errno("TIOCSPTLCK");
    return master;
  }
}

Result<void> save_pty_settings(PtyFds fds, pb::PtyState& state) {
  struct termios2 settings = {};
  struct winsize size = {};
  int locked = 0, packet_mode = 0, exclusive = 0, discipline = 0;
  // The master answers for the slave's settings (ioctl_tty(2)).
  if (ioctl(fds.master, TCGETS2, &settings) != 0) return fail_errno("TCGETS2");
  if (ioctl(fds.master, TIOCGWINSZ, &size) != 0) return fail_errno("TIOCGWINSZ");
  if (ioctl(fds.master, TIOCGPTLCK, &locked) != 0) return fail_errno("TIOCGPTLCK");
  if (ioctl(fds.master, TIOCGPKT, &packet_mode) != 0) return fail_errno("TIOCGPKT");
  state.set_termios(bytes_of(settings));
  state.set_winsize(bytes_of(size));
  state.set_locked(locked != 0);
  state.set_packet_mode(packet_mode != 0);
  int session = 0, group = 0;
  if (ioctl(fds.master, TIOCGSID, &session) == 0) state.set_session(session);
  if (session != 0 && ioctl(fds.master, TIOCGPGRP, &group) == 0) state.set_foreground_group(group);
  if (fds.slave < 0) return {};
  struct termios frozen = {};
  const struct termios none = {};
  struct stat st;
  if (ioctl(fds.slave, TIOCGEXCL, &exclusive) != 0) return fail_errno("TIOCGEXCL");
  if (ioctl(fds.slave, TIOCGETD, &discipline) != 0) return fail_errno("TIOCGETD");
  if (discipline != 0)
    return fail(
        ErrorKind::kRefused,
        fmt::format("pseudoterminal with line discipline {} can't be checkpointed", discipline));
  if (ioctl(fds.slave, TIOCGLCKTRMIOS, &frozen) == 0 &&
      std::memcmp(&frozen, &none, sizeof none) != 0)
    state.set_locked_termios(bytes_of(frozen));
  if (fstat(fds.slave, &st) != 0) return fail_errno("stat a pseudoterminal");
  state.set_exclusive(exclusive != 0);
  state.set_slave_mode(st.st_mode);
  state.set_slave_uid(st.st_uid);
  state.set_slave_gid(st.st_gid);
  std::array<char, PATH_MAX> path;
  const auto link = fmt::format("/proc/self/fd/{}", fds.slave);
  const auto length = readlink(link.c_str(), path.data(), path.size());
  if (length > 0) state.set_slave_path(path.data(), static_cast<size_t>(length));
  return {};
}

Result<void> set_window_size(int master, const pb::PtyState& state) {
  const auto size = TRY(value_of<struct winsize>(state.winsize(), "window size"));
  if (ioctl(master, TIOCSWINSZ, &size) != 0) return fail_errno("TIOCSWINSZ");
  return {};
}

Result<void> apply_pty_settings(PtyFds fds, const pb::PtyState& state) {
  TRY(set_window_size(fds.master, state));
  if (fds.slave < 0) {
    const auto settings = TRY(value_of<struct termios2>(state.termios(), "terminal settings"));
    if (ioctl(fds.master, TCSETS2, &settings) != 0) return fail_errno("TCSETS2");
    return {};
  }
  if (fchown(fds.slave, state.slave_uid(), state.slave_gid()) != 0)
    return fail_errno("set the owner of a pseudoterminal");
  if (fchmod(fds.slave, state.slave_mode() & 07777) != 0)
    return fail_errno("set the mode of a pseudoterminal");
  if (!state.locked_termios().empty()) {
    const auto frozen = TRY(value_of<struct termios>(state.locked_termios(), "locked settings"));
    if (ioctl(fds.slave, TIOCSLCKTRMIOS, &frozen) != 0) return fail_errno("TIOCSLCKTRMIOS");
  }
  return {};
}

Result<void> close_pty(PtyFds fds, const pb::PtyState& state) {
  const int on = 1;
  if (state.exclusive() && ioctl(fds.slave, TIOCEXCL) != 0) return fail_errno("TIOCEXCL");
  if (state.packet_mode() && ioctl(fds.master, TIOCPKT, &on) != 0) return fail_errno("TIOCPKT");
  if (state.locked() && ioctl(fds.master, TIOCSPTLCK, &on) != 0) return fail_errno("TIOCSPTLCK");
  return {};
}

}  // namespace cryostat::files
