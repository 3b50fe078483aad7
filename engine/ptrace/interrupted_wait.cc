#include "engine/ptrace/interrupted_wait.h"

#include <sys/syscall.h>

#include <cerrno>
#include <cstdint>

#include "engine/arch/x86_64/registers.h"

namespace cryostat {
namespace {

bool waits_without_limit(const user_regs_struct& registers) {
  switch (registers.orig_rax) {
    case SYS_epoll_wait:
    case SYS_epoll_pwait:
      return static_cast<int32_t>(registers.r10) < 0;
    case SYS_epoll_pwait2:
    case SYS_semtimedop:
      return registers.r10 == 0;
    case SYS_rt_sigtimedwait:
      return registers.rdx == 0;
    case SYS_semop:
      return true;
    case SYS_io_getevents:
      return registers.r8 == 0;
    default:
      return false;
  }
}

}  // namespace

bool restart_interrupted_wait(user_regs_struct& registers) {
  if (static_cast<int64_t>(registers.rax) != -EINTR) return false;
  if (!arch::in_system_call(registers) || !waits_without_limit(registers)) return false;
  registers.rax = static_cast<uint64_t>(-arch::kErestartNoHand);
  return true;
}

}  // namespace cryostat
