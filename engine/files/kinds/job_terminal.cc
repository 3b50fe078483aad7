#include "engine/files/kinds/job_terminal.h"

#include <asm/termbits.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "engine/base/plan_report.h"
#include "engine/files/collect_context.h"
#include "engine/files/restore_context.h"

namespace cryostat::files {

namespace {

constexpr unsigned kMemoryMajor = 1;
const dev_t kOwnTerminal = makedev(5, 0);  // /dev/tty
constexpr unsigned long kGetDevice =
    0x80045432;  // TIOCGDEV, in glibc's headers since 2.x only by chance

bool is_terminal(int fd) {
  struct termios2 settings;
  // EIO: a terminal whose other side is gone.
  return ioctl(fd, TCGETS2, &settings) == 0 || errno == EIO;
}

// The terminal itself, also when it was opened through /dev/tty.
uint64_t terminal_device(const OpenDescription& description) {
  unsigned device = 0;
  if (ioctl(description.copy.get(), kGetDevice, &device) == 0) return device;
  return description.st.st_rdev;
}

template <typename T>
std::string bytes_of(const T& value) {
  return std::string(reinterpret_cast<const char*>(&value), sizeof value);
}

Failure refuse(std::string reason) { return fail(ErrorKind::kRefused, std::move(reason)); }

}  // namespace

bool JobTerminalKind::matches(const OpenDescription& description) const {
  return S_ISCHR(description.st.st_mode) && major(description.st.st_rdev) != kMemoryMajor &&
         is_terminal(description.copy.get());
}

Result<void> JobTerminalKind::collect(CollectContext& context, const OpenDescription& description,
                                      pb::Description& image) const {
  const int fd = description.copy.get();
  struct termios2 settings = {};
  struct winsize size = {};
  if (ioctl(fd, TCGETS2, &settings) != 0)
    return refuse(
        fmt::format("terminal {} that was hung up can't be checkpointed", description.link));
  if (!context.options().shell_job)
    return refuse(
        fmt::format("terminal {} is not the target's own; add --shell-job", description.link));
  const auto device = terminal_device(description);
  if (context.job_terminal_rdev.value_or(device) != device)
    return refuse(
        fmt::format("second terminal {}: a shell job can have one only", description.link));
  context.job_terminal_rdev = device;
  (void)ioctl(fd, TIOCGWINSZ, &size);
  auto& terminal = *image.mutable_job_terminal();
  terminal.set_rdev(description.st.st_rdev);
  terminal.set_path(description.link);
  terminal.set_termios(bytes_of(settings));
  terminal.set_winsize(bytes_of(size));
  return {};
}

bool JobTerminalKind::owns(const pb::Description& image) const { return image.has_job_terminal(); }

void JobTerminalKind::check(CheckContext& context, const pb::Description& image,
                            PlanReport& report) const {
  if (!context.first_time("terminal of the job")) return;
  const auto subject = fmt::format("terminal {}", image.job_terminal().path());
  if (!context.options().shell_job) {
    report.missing(subject, "the checkpoint is of a shell job and uses its terminal",
                   "add --shell-job", ErrorKind::kRefused);
  } else if (context.options().terminal_fd < 0) {
    report.missing(subject, "cr-restore has no terminal to give to the job",
                   "run cr-restore --shell-job in a terminal");
  } else {
    report.ok(subject, "the terminal of cr-restore takes its place");
  }
}

Result<UniqueFd> JobTerminalKind::restore(RestoreContext& context,
                                          const pb::Description& image) const {
  const int terminal = context.inputs().terminal_fd;
  if (terminal < 0)
    return tl::unexpected(Error(ErrorKind::kMachine, "there is no terminal to give to the job")
                              .with_hint("run cr-restore --shell-job in a terminal"));
  // Opening must not make it anybody's controlling terminal, nor wait for a carrier.
  const auto flags = open_flags(image.flags()) | O_NOCTTY | O_NONBLOCK;
  if (image.job_terminal().rdev() == kOwnTerminal) {
    UniqueFd own(open("/dev/tty", static_cast<int>(flags) | O_CLOEXEC));
    if (own) return own;
  }
  return reopen(terminal, flags);
}

}  // namespace cryostat::files
