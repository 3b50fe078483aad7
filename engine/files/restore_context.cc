#include "engine/files/restore_context.h"

#include <fcntl.h>
#include <fmt/format.h>

namespace cryostat::files {

Result<UniqueFd> RestoreContext::keep(UniqueFd fd) {
  if (!target_numbers_.contains(fd.get())) return fd;
  for (int number = 0;; ++number) {
    if (target_numbers_.contains(number)) continue;
    // Takes the lowest free number that is not below `number`; that may be the target's again.
    UniqueFd moved(fcntl(fd.get(), F_DUPFD_CLOEXEC, number));
    if (!moved) return fail_errno(fmt::format("duplicate descriptor to {} or above", number));
    if (!target_numbers_.contains(moved.get())) return moved;
    number = moved.get();
  }
}

Result<UniqueFd> reopen(int fd, uint32_t flags) {
  const auto path = fmt::format("/proc/self/fd/{}", fd);
  UniqueFd opened(open(path.c_str(), static_cast<int>(flags) | O_CLOEXEC));
  if (!opened) return fail_errno(fmt::format("open {} with flags {:#o}", path, flags));
  return opened;
}

uint32_t open_flags(uint32_t status) {
  // O_ASYNC is set with its owner; __O_TMPFILE stays in the flags of a file created that way, and
  // would create another one.
  constexpr uint32_t kTmpfileOnly =
      static_cast<uint32_t>(O_TMPFILE) & ~static_cast<uint32_t>(O_DIRECTORY);
  uint32_t flags = status & ~static_cast<uint32_t>(O_ASYNC);
  if ((flags & kTmpfileOnly) != 0) flags &= ~static_cast<uint32_t>(O_TMPFILE);
  return flags | O_NOCTTY;
}

}  // namespace cryostat::files
