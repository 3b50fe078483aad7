#include "engine/cli/terminal.h"

#include <fcntl.h>
#include <unistd.h>

#include <csignal>

namespace cryostat::cli {

namespace {
// While it lives, terminal settings may be changed from a background group (termios(3)).
class TtouBlocked {
 public:
  TtouBlocked() {
    sigset_t ttou;
    sigemptyset(&ttou);
    sigaddset(&ttou, SIGTTOU);
    sigprocmask(SIG_BLOCK, &ttou, &before_);
  }
  TtouBlocked(const TtouBlocked&) = delete;
  TtouBlocked& operator=(const TtouBlocked&) = delete;
  ~TtouBlocked() { sigprocmask(SIG_SETMASK, &before_, nullptr); }

 private:
  sigset_t before_{};
};

std::optional<termios> modes_of(int fd) {
  termios modes{};
  if (tcgetattr(fd, &modes) != 0) return std::nullopt;
  return modes;
}
}  // namespace

Terminal Terminal::open() {
  Terminal terminal;
  terminal.fd_.reset(::open("/dev/tty", O_RDWR | O_CLOEXEC | O_NOCTTY));
  if (terminal.present()) terminal.own_modes_ = modes_of(terminal.fd_.get());
  return terminal;
}

bool Terminal::in_front(pid_t group) const { return present() && tcgetpgrp(fd_.get()) == group; }

void Terminal::give_to(pid_t group) {
  if (!present()) return;
  const TtouBlocked blocked;
  if (!job_modes_) own_modes_ = modes_of(fd_.get());
  // The group may have ended meanwhile: then there is nobody to give it to.
  if (tcsetpgrp(fd_.get(), group) != 0) return;
  if (job_modes_) tcsetattr(fd_.get(), TCSADRAIN, &*job_modes_);
}

void Terminal::take_back(bool restore_modes) {
  if (!present()) return;
  const TtouBlocked blocked;
  job_modes_ = modes_of(fd_.get());
  tcsetpgrp(fd_.get(), getpgrp());
  if (restore_modes && own_modes_) tcsetattr(fd_.get(), TCSADRAIN, &*own_modes_);
}

}  // namespace cryostat::cli
