#include "engine/files/terminal.h"

#include <asm/termbits.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <cstring>

#include "engine/image/files_image.h"

namespace cryostat::files {

namespace {

// Setting a terminal from a background process group raises SIGTTOU, unless it is blocked.
class BlockedTtou {
 public:
  BlockedTtou() {
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGTTOU);
    pthread_sigmask(SIG_BLOCK, &set, &before_);
  }
  BlockedTtou(const BlockedTtou&) = delete;
  BlockedTtou& operator=(const BlockedTtou&) = delete;
  ~BlockedTtou() { pthread_sigmask(SIG_SETMASK, &before_, nullptr); }

 private:
  sigset_t before_;
};

const pb::JobTerminal* find_terminal(const image::FilesImage& image) {
  for (const auto& description : image.descriptions)
    if (description.has_job_terminal()) return &description.job_terminal();
  return nullptr;
}

}  // namespace

UniqueFd find_job_terminal() {
  for (const int fd : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO})
    if (isatty(fd) == 1) return UniqueFd(fcntl(fd, F_DUPFD_CLOEXEC, 3));
  return UniqueFd(open("/dev/tty", O_RDWR | O_NOCTTY | O_CLOEXEC));
}

bool uses_job_terminal(const image::FilesImage& image) { return find_terminal(image) != nullptr; }

Result<WindowSize> apply_terminal_settings(const image::FilesImage& image, int terminal_fd) {
  const auto* terminal = find_terminal(image);
  if (terminal == nullptr) return WindowSize::kSame;
  struct termios2 settings;
  struct winsize size, now;
  if (terminal->termios().size() != sizeof settings || terminal->winsize().size() != sizeof size)
    return fail(ErrorKind::kImages, "terminal settings of an unknown size");
  std::memcpy(&settings, terminal->termios().data(), sizeof settings);
  std::memcpy(&size, terminal->winsize().data(), sizeof size);
  const BlockedTtou blocked;
  if (ioctl(terminal_fd, TCSETS2, &settings) != 0) return fail_errno("set up the job's terminal");
  if (ioctl(terminal_fd, TIOCGWINSZ, &now) != 0) return fail_errno("read the terminal's size");
  return std::memcmp(&size, &now, sizeof size) == 0 ? WindowSize::kSame : WindowSize::kChanged;
}

}  // namespace cryostat::files
