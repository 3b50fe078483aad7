// A system call with time left, frozen in the middle: made to go on in the restored thread.
//
// The kernel keeps what such a call needs in the thread's restart block, which nothing can set from
// outside. So the restored thread issues the call anew with the time that was left, is interrupted
// at once, and holds a real restart block; its old registers with rax = -ERESTART_RESTARTBLOCK then
// make the kernel go on with it (signal(7), "Interruption of system calls"; restart_syscall(2)).
#pragma once

#include <sys/user.h>

#include <cstdint>
#include <optional>

#include "engine/base/error.h"
#include "engine/base/ids.h"

namespace cryostat::pb {
class InterruptedCall;
}

namespace cryostat::restore {

// The registers that issue the call again at `syscall_insn`; nullopt when the call needs no restart
// block. `timespec_at`: address in the thread where the time left will lie, as returned in
// `timespec`.
struct ReissuedCall {
  user_regs_struct registers{};
  uint64_t timespec[2] = {};  // seconds, nanoseconds
  bool uses_timespec = false;
};
std::optional<ReissuedCall> reissue(const pb::InterruptedCall& call,
                                    const user_regs_struct& original, uint64_t syscall_insn,
                                    uint64_t timespec_at);

// What the thread's registers become when the re-issued call ended with `result`.
user_regs_struct after_reissue(const user_regs_struct& original, int64_t result);

}  // namespace cryostat::restore
