// System calls made by a stopped tracee on a `syscall` instruction that is already in its vDSO: no
// code of the target is patched.
#pragma once

#include <sys/user.h>

#include <array>
#include <cstdint>

#include "engine/base/deadline.h"
#include "engine/base/error.h"
#include "engine/base/ids.h"

namespace cryostat {

class TaskHandle;

// Finds the instruction: in the vDSO, else in any executable mapping. kRefused when there is none.
// Precondition: ptrace access.
Result<RemoteAddr> find_remote_syscall_insn(const TaskHandle& task);

// Makes a thread run one system call and returns what the kernel returned (-errno included).
// `base`: the registers the call does not use, flags included. Uses the two system call stops and
// no signal, so no signal state changes (a single step would send SIGTRAP and reset its action).
// The thread's registers are changed and all its signals blocked: the caller sets both afterwards.
// Precondition: the thread is in a ptrace stop with PTRACE_O_TRACESYSGOOD on. Errors: kTargetGone,
// kFailed at the deadline.
Result<int64_t> remote_syscall(Tid tid, const user_regs_struct& base, RemoteAddr syscall_insn,
                               int64_t number, const std::array<uint64_t, 6>& arguments,
                               const Deadline& deadline);

}  // namespace cryostat
