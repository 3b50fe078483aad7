#include "engine/kernel/pidfd.h"

#include <fmt/format.h>
#include <sys/syscall.h>

#include <cerrno>

namespace cryostat::kernel {

Result<UniqueFd> pidfd_open(HostPid pid) {
  const long fd = syscall(SYS_pidfd_open, pid.value, 0);
  if (fd < 0) return fail_errno(fmt::format("open a pidfd of process {}", pid.value));
  return UniqueFd(static_cast<int>(fd));
}

Result<UniqueFd> pidfd_getfd(int pidfd, RemoteFd fd) {
  const long copy = syscall(SYS_pidfd_getfd, pidfd, fd.value, 0);
  if (copy < 0) return fail_errno(fmt::format("copy remote descriptor {}", fd.value));
  return UniqueFd(static_cast<int>(copy));
}

Result<void> pidfd_send_signal(int pidfd, int signal_number) {
  if (syscall(SYS_pidfd_send_signal, pidfd, signal_number, nullptr, 0) != 0) {
    return fail_errno(fmt::format("send signal {} by pidfd", signal_number));
  }
  return {};
}

void free_memory_of_dying(int pidfd) { (void)syscall(SYS_process_mrelease, pidfd, 0); }

}  // namespace cryostat::kernel
