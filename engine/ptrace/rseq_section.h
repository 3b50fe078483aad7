// Restartable sequences (rseq(2)): where a thread goes on when it was interrupted inside one.
#pragma once

#include <cstdint>

#include "engine/base/error.h"
#include "engine/base/ids.h"
#include "engine/ptrace/traced_thread.h"

namespace cryostat::ptrace {

// The address a thread stopped at `instruction` resumes at: the abort handler when it was inside a
// critical section (the kernel sends an interrupted thread there before user code runs again; while
// foreign code runs on the thread it would forget to), `instruction` otherwise. A section
// that can't be read is none.
uint64_t rseq_resume_address(HostPid pid, const RseqConfiguration& rseq, uint64_t instruction);

}  // namespace cryostat::ptrace
