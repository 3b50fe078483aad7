// Seccomp mode and programs of the threads (seccomp(2)).
#pragma once

#include <string>
#include <vector>

#include "engine/base/error.h"
#include "engine/base/ids.h"
#include "engine/base/wire_arena.h"
#include "proto/wire/restorer_state.h"

namespace cryostat {
class PlanReport;
}
namespace cryostat::pb {
class Seccomp;
class Thread;
}  // namespace cryostat::pb

namespace cryostat::task {

struct StartState;

// Dump, of a thread stopped under ptrace by the caller: the mode, and with mode 2 every program,
// read with PTRACE_SECCOMP_GET_FILTER (needs CAP_SYS_ADMIN, CONFIG_CHECKPOINT_RESTORE). kRefused,
// with the reason only, when the programs can't be had or one of them asks a supervisor
// (SECCOMP_RET_USER_NOTIF).
Result<void> save_seccomp(Tid tid, int mode, pb::Seccomp& image);

// A thread of the same task had these programs; most tasks have them on all threads.
bool has_same_filters(const pb::Seccomp& a, const pb::Seccomp& b);

void check_seccomp(const std::vector<pb::Thread>& threads, const StartState& start,
                   PlanReport& report);

// How many programs, from the oldest, all threads have in common. They are installed once and
// shared, so that a later SECCOMP_FILTER_FLAG_TSYNC still works.
size_t common_filter_count(const std::vector<pb::Thread>& threads);

// Programs [first, last) of the image.
wire::WireSpan<wire::SeccompFilterState> plan_filters(const pb::Seccomp& image, size_t first,
                                                      size_t last, WireArena& arena);

}  // namespace cryostat::task
