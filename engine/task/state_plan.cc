#include "engine/task/state_plan.h"

#include <algorithm>

#include "engine/task/credentials.h"
#include "engine/task/limits.h"
#include "engine/task/scheduling.h"
#include "engine/task/seccomp.h"
#include "engine/task/signals.h"
#include "engine/task/start_state.h"
#include "engine/task/thread_attributes.h"
#include "engine/task/timers.h"
#include "proto/mm.pb.h"
#include "proto/task.pb.h"

namespace cryostat::task {

namespace {

constexpr uint32_t kSeccompStrict = 1;

}  // namespace

Result<void> fill_task_state(const pb::Task& task, const std::vector<pb::Thread>& threads,
                             const pb::AddressSpace& space, const StartState& start,
                             WireArena& arena, wire::TaskState& state) {
  if (threads.empty()) return fail(ErrorKind::kImages, "task without threads");
  state.pid = task.pid();
  state.thread_count = static_cast<int32_t>(threads.size());
  plan_actions(task, state);
  plan_timers(task, arena, state);
  state.pending = plan_queue(task.pending(), arena);
  TRY(plan_limits(task, arena, state));
  state.filters = plan_filters(threads.front().seccomp(), 0, common_filter_count(threads), arena);
  state.xcomp_request = task.xcomp_permitted() & ~start.xcomp_permitted;
  state.dumpable = static_cast<int32_t>(space.dumpable());
  state.thp_disable =
      space.thp_disabled() ? static_cast<int32_t>(std::max(1u, space.thp_disable_flags())) : 0;
  state.child_subreaper = task.child_subreaper() ? 1 : 0;
  state.memory_merge = space.memory_merge() ? 1 : 0;
  state.mdwe = static_cast<int32_t>(space.mdwe());
  state.membarrier_registrations = space.membarrier_registrations();
  return {};
}

Result<void> fill_thread_state(const pb::Task& task, const pb::Thread& thread,
                               uint64_t common_filters, const StartState& start, WireArena& arena,
                               wire::ThreadState& state) {
  state.pid = task.pid();
  state.tid = thread.tid();
  plan_credentials(thread.credentials(), start, arena, state);
  plan_scheduling(thread.scheduling(), start, arena, state);
  plan_thread_attributes(thread, start, state);
  plan_alternate_stack(thread.alternate_stack(), state);
  state.pending = plan_queue(thread.pending(), arena);
  state.filters = plan_filters(thread.seccomp(), common_filters,
                               static_cast<size_t>(thread.seccomp().filters_size()), arena);
  if (thread.seccomp().mode() == kSeccompStrict) state.calls |= wire::kSetStrictSeccomp;
  return {};
}

bool needs_suspended_seccomp(const std::vector<pb::Thread>& threads) {
  return std::ranges::any_of(threads,
                             [](const pb::Thread& thread) { return thread.seccomp().mode() != 0; });
}

}  // namespace cryostat::task
