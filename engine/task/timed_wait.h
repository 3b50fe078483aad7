// epoll_wait(2) and epoll_pwait(2) with a time limit. The freeze ends them with EINTR (signal(7),
// "Interruption of system calls and library functions by stop signals"), and the kernel knows no
// way to go on with the time left: it takes a limit only as the call's argument. So the call is
// made again, with the time left in the argument's register, where the program can't see that it
// changed: where the code behind the call is that of a C library, which is done with its arguments.
#pragma once

#include <sys/user.h>

#include <cstdint>
#include <optional>
#include <vector>

#include "engine/base/ids.h"
#include "engine/task/interrupted_call.h"

namespace cryostat::task {

// A frozen thread in such a call.
struct TimedWait {
  Tid tid;
  user_regs_struct registers{};  // as saved
  int64_t ends_monotonic_ns = 0;
};

// When the call of a frozen thread would have ended, CLOCK_MONOTONIC; `sample` and `now_ns` as in
// save_interrupted_call(). nullopt when it is no such call, when its end is not known, or has
// passed already (then the sample was of an earlier call), or when the code after it may look at
// the limit.
std::optional<int64_t> end_of_timed_wait(const user_regs_struct& registers,
                                         const SleepSample* sample, int64_t now_ns,
                                         const ReadRemote& read);

// The registers with which the kernel makes the call again on the thread's way out of its stop,
// unless a signal handler comes first.
user_regs_struct wait_on(const user_regs_struct& registers, int64_t left_ns);

// Makes stopped threads that are about to be released wait until their end. Best effort: a thread
// that is gone is left out.
void wait_on_in_place(const std::vector<TimedWait>& waits);

}  // namespace cryostat::task
