// What the parasite needs to return to a thread's own work without the engine.
#pragma once

#include <sys/user.h>

#include "proto/wire/parasite.h"

namespace cryostat {

struct SavedThread;

// The thread's registers as the kernel sets them when it resumes the thread: an interrupted system
// call starts again; one that would go on from a restart block returns EINTR, since rt_sigreturn(2)
// forgets that block.
user_regs_struct resumed_registers(const SavedThread& thread);
wire::ThreadOrigin make_thread_origin(const SavedThread& thread);

// XCR0 without the components that need a permission (AMX), which the kernel keeps out of signal
// frames.
wire::XsaveLayout this_xsave_layout();

}  // namespace cryostat
