// Controlling terminals that are pseudoterminals of the target (credentials(7), ioctl_tty(2)).
//
// Only a session leader can get a controlling terminal; the others of its session inherit it when
// they are forked. The pair must therefore be there before the leader has children, whoever owns
// its descriptors later.
#pragma once

#include <cstdint>
#include <vector>

#include "engine/base/error.h"
#include "engine/base/unique_fd.h"

namespace cryostat::image {
struct FilesImage;
}

namespace cryostat::files {

struct ControllingPty {
  uint32_t pty_id = 0;
  int32_t session = 0;
  int32_t foreground_group = 0;
  UniqueFd master;
};

// cr-restore, before the first task: the masters of all pseudoterminals that control a session,
// with their numbers. They must stay open until their owner has them (RestoreInputs::pty_masters).
// kMachine when a number is taken.
Result<std::vector<ControllingPty>> create_controlling_ptys(const image::FilesImage& image);

// The session leader, after setsid(2) and before it forks: makes the slave of `master` its
// controlling terminal.
Result<void> take_controlling_terminal(int master);

// The session leader, when every process group exists: which of them is in the foreground.
// Precondition: SIGTTOU is blocked.
Result<void> set_foreground_group(int32_t group);

// A member of a session whose terminal it gave up (TIOCNOTTY). The session leader must not.
Result<void> give_up_terminal();

}  // namespace cryostat::files
