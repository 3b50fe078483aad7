// Restartable sequences (rseq(2), Documentation in linux/rseq.h) of stopped threads.
#pragma once

#include <span>

#include "engine/base/error.h"
#include "engine/base/ids.h"

namespace cryostat {

struct SavedThread;

// A thread that was preempted inside a restartable sequence goes on at the sequence's abort
// address. The kernel finds that out when it returns to user mode, from the address it returns to;
// a thread that runs other code first would go on in the middle of its sequence. So rip of
// `threads` is set here to what the kernel would have made of it. Precondition: threads stopped,
// `rseq` and `registers` filled.
Result<void> abort_restartable_sequences(HostPid pid, std::span<SavedThread> threads);

}  // namespace cryostat
