#include "engine/files/kinds/pty.h"

#include <asm/termbits.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "engine/base/plan_report.h"
#include "engine/files/collect_context.h"
#include "engine/files/description_groups.h"
#include "engine/files/file_check.h"
#include "engine/files/kinds/job_terminal.h"
#include "engine/files/pty_pair.h"
#include "engine/files/restore_context.h"
#include "engine/image/files_image.h"

namespace cryostat::files {

namespace {

constexpr unsigned kSlaveMajor = 136;
constexpr unsigned kTerminalMajor = 5;  // /dev/tty, /dev/console, /dev/ptmx
constexpr const char* kMultiplexerPath = "/dev/ptmx";
constexpr const char* kOwnTerminalPath = "/dev/tty";

bool is_hung_up(int fd) {
  struct termios2 settings;
  return ioctl(fd, TCGETS2, &settings) != 0 && errno == EIO;
}

bool every_slave_closed(int master) {
  struct pollfd poll_fd = {master, 0, 0};
  return poll(&poll_fd, 1, 0) == 1 && (poll_fd.revents & POLLHUP) != 0;
}

Result<void> collect_master(CollectContext& context, const OpenDescription& master, pb::Pty& pty) {
  const auto index = master_index(master);
  if (!index)
    return fail(ErrorKind::kRefused,
                "master of a pseudoterminal whose number this kernel does not tell can't be "
                "checkpointed");
  pty.set_pty_id(master.id);
  pty.set_index(*index);
  auto& state = *pty.mutable_state();
  PtyFds fds{.master = master.copy.get()};
  int locked = 0;
  if (ioctl(fds.master, TIOCGPTLCK, &locked) != 0) return fail_errno("TIOCGPTLCK");
  const bool has_end = TRY(has_slave(context, master)) || every_slave_closed(fds.master);
  if (!has_end && locked == 0)
    return fail(ErrorKind::kRefused,
                fmt::format("pseudoterminal {} whose slave is open outside the target can't be "
                            "checkpointed",
                            *index));
  // Opening the slave for the first time would show: the master is hung up once it is closed.
  state.set_slave_never_opened(!has_end);
  if (!has_end) return save_pty_settings(fds, state);
  const auto slave = TRY(open_own_slave(fds.master));
  fds.slave = slave.get();
  TRY(save_pty_settings(fds, state));
  return peek_pty(fds, state);
}

// A session leader's terminal was made before the leader; others are made now.
Result<UniqueFd> get_master(const RestoreContext& context, uint32_t pty_id, const pb::Pty& pty) {
  const auto& made = context.inputs().pty_masters;
  const auto known = made.find(pty_id);
  if (known == made.end()) return create_master(pty.path(), pty.index());
  UniqueFd master(fcntl(known->second, F_DUPFD_CLOEXEC, 0));
  if (!master) return fail_errno("duplicate the master of a pseudoterminal");
  return master;
}

// Opens the pair, once, with everything in it and every setting but those that close it.
Result<PtyEnds*> open_pair(RestoreContext& context, uint32_t pty_id) {
  const auto known = context.ptys.find(pty_id);
  if (known != context.ptys.end()) return &known->second;
  if (pty_id == 0 || pty_id > context.image().descriptions.size())
    return fail(ErrorKind::kImages, "slave of a pseudoterminal that is not there");
  const auto& pty = context.image().description(pty_id).pty();
  if (pty.end() != pb::Pty::MASTER || !pty.has_state())
    return fail(ErrorKind::kImages, "slave of a pseudoterminal without a master");
  PtyEnds ends;
  ends.master = TRY(context.keep(TRY(get_master(context, pty_id, pty))));
  if (!pty.state().slave_never_opened()) {
    ends.slave = TRY(context.keep(TRY(open_own_slave(ends.master.get()))));
    TRY(fill_pty({ends.master.get(), ends.slave.get()}, pty.state()));
  }
  TRY(apply_pty_settings({ends.master.get(), ends.slave.get()}, pty.state()));
  return &context.ptys.emplace(pty_id, std::move(ends)).first->second;
}

// O_CLOEXEC would stay in the flags of the description (unlike that of open(2)).
Result<UniqueFd> open_peer(int master, uint32_t flags) {
  UniqueFd slave(ioctl(master, TIOCGPTPEER, flags | O_NOCTTY));
  if (!slave) return fail_errno("open the slave of a pseudoterminal (TIOCGPTPEER)");
  return slave;
}

Result<UniqueFd> open_hung_up(uint32_t flags) {
  UniqueFd master(open(kMultiplexerPath, O_RDWR | O_NOCTTY | O_CLOEXEC));
  if (!master) return fail_errno(fmt::format("open {}", kMultiplexerPath));
  const int unlock = 0;
  if (ioctl(master.get(), TIOCSPTLCK, &unlock) != 0) return fail_errno("TIOCSPTLCK");
  return open_peer(master.get(), flags);  // closing the master hangs it up
}

// A slave that was opened through its master: every open(2) of a 64-bit program sets O_LARGEFILE.
bool by_peer(const pb::Description& image) {
  constexpr uint32_t kLargeFile = 0100000;  // O_LARGEFILE, which libc defines as 0
  return (image.flags() & kLargeFile) == 0;
}

// By its path, so that it is the same file under the same name.
Result<UniqueFd> open_slave(const pb::Pty& pty, uint32_t flags) {
  auto slave = TRY(open_same_type(pty.path(), flags | O_NOCTTY | O_NONBLOCK, S_IFCHR));
  constexpr unsigned long kGetDevice = 0x80045432;  // TIOCGDEV
  unsigned device = 0;
  if (ioctl(slave.get(), kGetDevice, &device) != 0 || major(device) != kSlaveMajor ||
      minor(device) != pty.index())
    return fail(ErrorKind::kMachine,
                fmt::format("{} does not lead to pseudoterminal {}", pty.path(), pty.index()));
  return slave;
}

}  // namespace

bool PtyKind::matches(const OpenDescription& description) const {
  const auto kind = major(description.st.st_rdev);
  if (!S_ISCHR(description.st.st_mode) || (kind != kSlaveMajor && kind != kTerminalMajor))
    return false;
  return isatty(description.copy.get()) == 1 || errno == EIO;
}

Result<void> PtyKind::collect(CollectContext& context, const OpenDescription& description,
                              pb::Description& image) const {
  pb::Pty pty;
  pty.set_path(description.link);
  if (is_pty_master(description)) {
    TRY(collect_master(context, description, pty));
  } else if (is_hung_up(description.copy.get())) {
    pty.set_end(pb::Pty::HUNG_UP);
  } else {
    const auto* master = TRY(find_master(context, description));
    if (master == nullptr) return JobTerminalKind().collect(context, description, image);
    pty.set_end(pb::Pty::SLAVE);
    pty.set_pty_id(master->id);
    pty.set_index(master_index(*master).value_or(0));
  }
  *image.mutable_pty() = std::move(pty);
  return {};
}

bool PtyKind::owns(const pb::Description& image) const { return image.has_pty(); }

void PtyKind::check(CheckContext& context, const pb::Description& image, PlanReport& report) const {
  const auto& pty = image.pty();
  const std::string path = pty.end() == pb::Pty::HUNG_UP ? kMultiplexerPath : pty.path();
  if (pty.end() == pb::Pty::SLAVE || !context.first_time(path)) return;
  if (!check_type(context, path, S_IFCHR, report)) return;
  report.ok(path, "pseudoterminals");
  struct stat st;
  if (pty.state().slave_path().empty() || lstat(pty.state().slave_path().c_str(), &st) != 0) return;
  report.missing(pty.state().slave_path(), "this pseudoterminal is in use",
                 "end what uses it, or restore in a mount namespace with a new devpts");
}

void PtyKind::link(const pb::Description& image, DescriptionGroups& groups) const {
  const auto& pty = image.pty();
  // /dev/tty leads to the terminal of whoever opens it: it is opened by one who has it, not by the
  // owner of the pair.
  if (pty.end() == pb::Pty::HUNG_UP || pty.path() == kOwnTerminalPath) return;
  groups.join_object(image.id(), "pty", pty.end() == pb::Pty::MASTER ? image.id() : pty.pty_id());
}

Result<UniqueFd> PtyKind::restore(RestoreContext& context, const pb::Description& image) const {
  const auto& pty = image.pty();
  if (pty.end() == pb::Pty::HUNG_UP) return open_hung_up(open_flags(image.flags()));
  if (pty.path() == kOwnTerminalPath) return open_slave(pty, open_flags(image.flags()));
  const auto pty_id = pty.end() == pb::Pty::MASTER ? image.id() : pty.pty_id();
  const auto* ends = TRY(open_pair(context, pty_id));
  if (pty.end() == pb::Pty::SLAVE)
    return by_peer(image) ? open_peer(ends->master.get(), open_flags(image.flags()))
                          : open_slave(pty, open_flags(image.flags()));
  UniqueFd master(fcntl(ends->master.get(), F_DUPFD_CLOEXEC, 0));
  if (!master) return fail_errno("duplicate the master of a pseudoterminal");
  return master;
}

Result<void> PtyKind::finish(RestoreContext& context, const pb::Description& image, int) const {
  if (image.pty().end() != pb::Pty::MASTER) return {};
  const auto& ends = context.ptys.at(image.id());
  return close_pty({ends.master.get(), ends.slave.get()}, image.pty().state());
}

}  // namespace cryostat::files
