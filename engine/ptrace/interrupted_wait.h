// Waiting system calls that the freeze would end with EINTR.
#pragma once

#include <sys/user.h>

namespace cryostat {

// Most calls a stop interrupts start again on their own. epoll_wait(2) and a few more return EINTR
// instead (signal(7), "Interruption of system calls and library functions by stop signals"). Where
// such a call waits without a time limit, its result is changed to the kernel's "start again unless
// a handler runs" (ERESTARTNOHAND), so the target does not notice the freeze. True when `registers`
// changed. Precondition: registers of a ptrace stop on the way out of the kernel, before any signal
// handler.
bool restart_interrupted_wait(user_regs_struct& registers);

}  // namespace cryostat
