// A system call that the freeze interrupted and that would go on from its restart block (signal(7),
// "Interruption of system calls and library functions by stop signals"; restart_syscall(2)).
//
// Such a call has left -ERESTART_RESTARTBLOCK in rax: nanosleep, clock_nanosleep, poll and futex
// with a timeout. The kernel keeps the end of the wait to itself, so the time left is worked out
// here. Calls with other restart codes need nothing: their registers alone restart them.
#pragma once

#include <sys/user.h>

#include <cstdint>
#include <functional>

#include "engine/base/error.h"
#include "engine/base/ids.h"

namespace cryostat::pb {
class InterruptedCall;
}

namespace cryostat::task {

struct SleepSample;

// Reads memory of the frozen task.
using ReadRemote = std::function<Result<void>(RemoteAddr from, void* to, size_t bytes)>;

// Dump. `sample`: how the thread slept before the freeze, or nullptr; `now_ns`: CLOCK_MONOTONIC
// now. Where the time left can't be told the whole timeout is left: a wait may be too long, never
// too short. A call that is none of the above becomes UNKNOWN and will return EINTR.
void save_interrupted_call(const user_regs_struct& registers, const SleepSample* sample,
                           int64_t now_ns, const ReadRemote& read, pb::InterruptedCall& image);

// False for a sample of an earlier call of the thread.
bool is_sample_of(const SleepSample& sample, const user_regs_struct& registers);

// The system call that `mov $number, %eax; syscall` just before `code_end` makes; 0 when the code
// looks different. `code`: the seven bytes that end where the call returns to.
uint64_t call_number_in_code(const unsigned char (&code)[7]);

}  // namespace cryostat::task
