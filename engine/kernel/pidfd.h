// Processes held by descriptor (pidfd_open(2), 5.3; pidfd_getfd(2), 5.6).
#pragma once

#include "engine/base/error.h"
#include "engine/base/ids.h"
#include "engine/base/unique_fd.h"

namespace cryostat::kernel {

// kTargetGone when there is no such process. Close-on-exec by nature.
Result<UniqueFd> pidfd_open(HostPid pid);
// A copy of a descriptor of the process; needs ptrace access.
Result<UniqueFd> pidfd_getfd(int pidfd, RemoteFd fd);
// Signal 0 only asks whether the process still exists (kTargetGone when not).
Result<void> pidfd_send_signal(int pidfd, int signal_number);
// Frees memory of a process that was sent SIGKILL on this CPU too, beside its own way out: twice as
// fast where there are two. Only a help: where the kernel has none (before 5.15) or the memory is
// still somebody else's, nothing happens. process_mrelease(2).
void free_memory_of_dying(int pidfd);

}  // namespace cryostat::kernel
