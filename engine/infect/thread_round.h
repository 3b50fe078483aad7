// Threads of the target report their state, many at a time.
#pragma once

#include <span>
#include <vector>

#include "engine/base/deadline.h"
#include "engine/base/error.h"
#include "engine/infect/parasite_area.h"

namespace cryostat {

struct SavedThread;

// One round: `threads` (at most area.slots) run parasite_thread_entry at the same time, their
// reports are appended to `reports` in the same order. Whatever happens, every living thread is
// afterwards in a ptrace stop with registers and signal mask as saved. Precondition: all in a
// ptrace stop.
Result<void> run_thread_round(HostPid pid, const ParasiteArea& area, int stop_signal,
                              std::span<const SavedThread> threads, const Deadline& deadline,
                              const StopRequest& stop,
                              std::vector<wire::ThreadStateReport>& reports);

}  // namespace cryostat
