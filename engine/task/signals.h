// Signal handlers, pending signals and alternate stacks (signal(7), sigaltstack(2)).
#pragma once

#include <csignal>
#include <span>
#include <vector>

#include "engine/base/wire_arena.h"
#include "proto/wire/restorer_state.h"

namespace google::protobuf {
template <typename T>
class RepeatedPtrField;
}
namespace cryostat::pb {
class AlternateStack;
class PendingSignal;
class Task;
}  // namespace cryostat::pb

namespace cryostat::task {

using PendingSignals = google::protobuf::RepeatedPtrField<pb::PendingSignal>;

// Dump: handlers that are not plain SIG_DFL.
void save_actions(const wire::TaskStateReport& report, pb::Task& image);

// Dump: a signal queue, oldest first, as PTRACE_PEEKSIGINFO showed it. SIGKILL and SIGSTOP can't be
// queued again and are left out, and so is SIGTRAP, which the restorer uses itself; the function
// says which of SIGSTOP and SIGTRAP were among them (bit n-1 = signal n). Faults the kernel has
// just raised are left out too: their instruction has not run and faults again.
uint64_t save_queue(std::span<const siginfo_t> queue, PendingSignals& image);

// Dump: signals that are pending without a queue entry (the kernel had no room for one) get a bare
// siginfo. `pending`: bit n-1 = signal n; those already in `queued` (either queue) are left alone.
void save_unqueued(uint64_t pending, std::span<const siginfo_t> queued_shared,
                   std::span<const siginfo_t> queued_private, PendingSignals& image);

void save_alternate_stack(const wire::ThreadStateReport& report, pb::AlternateStack& image);

// Restore.
void plan_actions(const pb::Task& image, wire::TaskState& state);
wire::WireSpan<wire::PendingSignalState> plan_queue(const PendingSignals& image, WireArena& arena);
void plan_alternate_stack(const pb::AlternateStack& image, wire::ThreadState& state);

}  // namespace cryostat::task
