// What is on its way in a pseudoterminal, in both directions: read without losing it, and put in.
#pragma once

#include "engine/base/error.h"

namespace cryostat::pb {
class PtyState;
}

namespace cryostat::files {

// Both ends of one pair. The slave is a description of the engine's own, opened with O_NONBLOCK.
struct PtyFds {
  int master = -1;
  int slave = -1;
};

// Dump, everybody who has the pair frozen: fills `to_slave` and `to_master`. A terminal can't be
// looked into without taking out what is there, so it is taken out and put back at once, by a child
// of its own that goes on when the engine is killed meanwhile. Termios, packet mode and queues are
// as before afterwards. kRefused (the reason only, nothing touched) when it could not be put back
// exactly: output stopped with ^S, more input waiting than the terminal has processed, a packet
// mode status not read yet, no CAP_SYS_ADMIN for TIOCSTI (ioctl_tty(2)).
Result<void> peek_pty(PtyFds fds, pb::PtyState& state);

// Restore, a new pair with its final termios and packet mode not yet set: puts the queues in. The
// slave's termios are those of `state` afterwards.
Result<void> fill_pty(PtyFds fds, const pb::PtyState& state);

}  // namespace cryostat::files
