// The front/worker split of cr-dump: the process a user starts (and may kill) is only the front;
// the worker that holds the target is its child in a session of its own.
#pragma once

#include <functional>
#include <string_view>

#include "engine/base/deadline.h"

namespace cryostat::cli {

// Forks a worker that runs `work` and exits with what it returns; the front (this process) waits
// for it and returns that exit code. Signals to the front become the worker's stop request, and so
// does the death of the front, even by SIGKILL. A worker that dies of a signal is told in one line
// on stderr (exit code 1). Must be called while the process has one thread.
int run_in_worker(std::string_view tool, const std::function<int(const StopRequest&)>& work);

}  // namespace cryostat::cli
