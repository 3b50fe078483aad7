// Odds and ends of a thread: name, robust list, clear_child_tid, rseq, parent-death signal, TSC and
// CPUID traps, speculation controls, machine-check policy, NUMA policy, personality.
#pragma once

#include "engine/base/error.h"
#include "proto/wire/restorer_state.h"

namespace cryostat::pb {
class Thread;
}

namespace cryostat::task {

struct StartState;

// Dump; rseq is the caller's (it comes from ptrace).
void save_thread_attributes(const wire::ThreadStateReport& report, pb::Thread& image);

// Restore.
void plan_thread_attributes(const pb::Thread& image, const StartState& start,
                            wire::ThreadState& state);

}  // namespace cryostat::task
