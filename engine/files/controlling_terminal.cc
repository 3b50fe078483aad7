#include "engine/files/controlling_terminal.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/ioctl.h>

#include "engine/files/pty_pair.h"
#include "engine/image/files_image.h"

namespace cryostat::files {

namespace {

Result<UniqueFd> open_own_terminal() {
  UniqueFd terminal(open("/dev/tty", O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC));
  if (!terminal) return fail_errno("open /dev/tty");
  return terminal;
}

}  // namespace

Result<std::vector<ControllingPty>> create_controlling_ptys(const image::FilesImage& image) {
  std::vector<ControllingPty> ptys;
  for (const auto& description : image.descriptions) {
    const auto& pty = description.pty();
    if (!pty.has_state() || pty.state().session() == 0) continue;
    ControllingPty made;
    made.pty_id = description.id();
    made.session = pty.state().session();
    made.foreground_group = pty.state().foreground_group();
    made.master = TRY(create_master(pty.path(), pty.index()));
    // Now, while a change of size is a signal to nobody.
    TRY(set_window_size(made.master.get(), pty.state()));
    ptys.push_back(std::move(made));
  }
  return ptys;
}

Result<void> take_controlling_terminal(int master) {
  const auto slave = TRY(open_own_slave(master));
  if (ioctl(slave.get(), TIOCSCTTY, 0) != 0)
    return fail_errno("make a pseudoterminal the controlling terminal");
  return {};
}

Result<void> set_foreground_group(int32_t group) {
  const auto terminal = TRY(open_own_terminal());
  if (ioctl(terminal.get(), TIOCSPGRP, &group) != 0)
    return fail_errno(fmt::format("put process group {} in the foreground", group));
  return {};
}

Result<void> give_up_terminal() {
  const auto terminal = TRY(open_own_terminal());
  if (ioctl(terminal.get(), TIOCNOTTY) != 0) return fail_errno("give up the controlling terminal");
  return {};
}

}  // namespace cryostat::files
