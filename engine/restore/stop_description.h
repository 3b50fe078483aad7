// What stopped or ended a thread of the restored task, in words.
#pragma once

#include <string>

#include "engine/base/ids.h"
#include "engine/ptrace/wait_status.h"

namespace cryostat::restore {

// "was killed by SIGSEGV", "exited with status 1", "got SIGSEGV (code 1) at 0x1234, address 0x0".
// The thread must still be in the stop.
std::string describe_stop(Tid tid, const WaitStatus& status);

}  // namespace cryostat::restore
