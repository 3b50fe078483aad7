// The one terminal a shell job shares with the shell it was started from.
#pragma once

#include <cstdint>

#include "engine/base/error.h"
#include "engine/base/unique_fd.h"

namespace cryostat::image {
struct FilesImage;
}

namespace cryostat::files {

// The terminal this process runs in: the first of stdin, stdout, stderr that is one, else /dev/tty.
// A copy (close-on-exec); invalid when there is none.
UniqueFd find_job_terminal();

// Does the checkpoint hold a descriptor of the job's terminal?
bool uses_job_terminal(const image::FilesImage& image);

enum class WindowSize : uint8_t { kSame, kChanged };

// Gives the terminal the settings (struct termios2) the job had at its dump: a program in raw
// mode goes on in raw mode. Call last, right before the job is released: a failed restore must
// leave the terminal alone. The window size is the terminal's own and is not set; kChanged says the
// job should be sent SIGWINCH. Blocks SIGTTOU meanwhile (ioctl_tty(2)).
Result<WindowSize> apply_terminal_settings(const image::FilesImage& image, int terminal_fd);

}  // namespace cryostat::files
