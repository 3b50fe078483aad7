// The controlling terminal of a tool, and who is in front of it.
#pragma once

#include <sys/types.h>
#include <termios.h>

#include <optional>

#include "engine/base/unique_fd.h"

namespace cryostat::cli {

// Hands the terminal from this process's group to another one of the same session and takes it
// back, with the terminal modes of each. Everything does nothing when there is no controlling
// terminal. Does not stop on SIGTTOU (termios(3)).
class Terminal {
 public:
  // Opens /dev/tty; a process without a controlling terminal gets one that is not there.
  static Terminal open();

  bool present() const { return fd_.valid(); }
  // Is this process group `group` in the foreground? False without a terminal.
  bool in_front(pid_t group) const;
  // Puts `group` in the foreground, with the modes it had when the terminal was last taken from it.
  void give_to(pid_t group);
  // Puts this process's own group in the foreground. `restore_modes` puts back the modes from
  // before the first give_to; the present ones are remembered for the next give_to.
  void take_back(bool restore_modes);

 private:
  UniqueFd fd_;
  std::optional<termios> own_modes_;
  std::optional<termios> job_modes_;
};

}  // namespace cryostat::cli
