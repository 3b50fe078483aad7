// The restorer: what a restored task runs between cr-restore's code and its own.
#include <sys/syscall.h>

#include "engine/kernel/raw_syscall.h"
#include "proto/wire/restorer.h"
#include "restorer/file_locks.h"
#include "restorer/followers.h"
#include "restorer/memory.h"
#include "restorer/task_state.h"
#include "restorer/thread_state.h"
#include "restorer/threads.h"
#include "restorer/vdso.h"

namespace cryostat::restorer {
namespace {

using wire::RestorerPlan;
using wire::RestorerStep;
using wire::RestorerThread;

void enter_step(RestorerPlan& plan, RestorerStep step) { plan.step = static_cast<uint32_t>(step); }

// The engine sees this as a signal-delivery stop and takes over.
void stop() { asm volatile("int3" ::: "memory"); }

// The futex wait loop of wait_until_at_least() wakes once: at the last of the others.
uint32_t others(const RestorerPlan& plan) { return static_cast<uint32_t>(plan.threads.count - 1); }

int apply_own_state(RestorerPlan& plan, RestorerThread& thread) {
  thread.step = static_cast<uint32_t>(RestorerStep::kThreadState);
  thread.error = apply_thread_state(thread.state, &plan, &thread.detail);
  if (thread.error == 0) thread.step = static_cast<uint32_t>(RestorerStep::kDone);
  return thread.error;
}

// Every thread but the leader.
void thread_main(RestorerPlan* plan, uint64_t index) {
  RestorerThread& thread = plan->threads.in(plan)[index];
  if (apply_own_state(*plan, thread) != 0) {
    __atomic_add_fetch(&plan->threads_failed, 1, __ATOMIC_ACQ_REL);
  }
  count_up(&plan->threads_done, others(*plan));
  for (;;) stop();
}

int close_service_fds(RestorerPlan& plan) {
  const wire::DescriptorRange* ranges = plan.service_fds.in(&plan);
  for (uint64_t i = 0; i < plan.service_fds.count; ++i) {
    const long result = raw_syscall(SYS_close_range, ranges[i].first, ranges[i].last, 0);
    if (is_syscall_error(result)) {
      plan.detail = ranges[i].first;
      return static_cast<int>(result);
    }
  }
  return 0;
}

int rebuild_address_space(RestorerPlan& plan) {
  if (plan.leader_plan != 0) {
    follow(plan);
    return 0;
  }
  await_followers(plan);
  enter_step(plan, RestorerStep::kVdso);
  if (const int error = park_vdso(plan)) return error;
  enter_step(plan, RestorerStep::kUnmap);
  if (const int error = restore_memory(&plan, &plan)) return error;
  enter_step(plan, RestorerStep::kVdso);
  if (const int error = place_vdso(plan)) return error;
  release_followers(plan);
  return 0;
}

int rebuild_task(RestorerPlan& plan) {
  enter_step(plan, RestorerStep::kThreads);
  if (const int error = close_service_fds(plan)) return error;
  enter_step(plan, RestorerStep::kFileLocks);
  if (const int error = set_file_locks(plan)) return error;
  enter_step(plan, RestorerStep::kTaskState);
  if (const int error = register_barriers(plan.task, &plan.detail)) return error;
  enter_step(plan, RestorerStep::kThreads);
  if (const int error = create_threads(plan, thread_main)) return error;
  enter_step(plan, RestorerStep::kTaskState);
  return apply_task_state(plan.task, &plan, &plan.detail);
}

int rebuild_threads(RestorerPlan& plan) {
  enter_step(plan, RestorerStep::kThreadState);
  const int error = apply_own_state(plan, plan.threads.in(&plan)[0]);
  wait_until_at_least(&plan.threads_done, others(plan));
  if (error != 0) return error;
  // The engine finds out which; ECANCELED only says that this thread gave up.
  constexpr int kCanceled = 125;
  if (__atomic_load_n(&plan.threads_failed, __ATOMIC_ACQUIRE) != 0) return -kCanceled;
  enter_step(plan, RestorerStep::kTaskState);
  if (const int late = finish_task_state(plan.task, &plan, &plan.detail)) return late;
  enter_step(plan, RestorerStep::kDone);
  return 0;
}

[[noreturn]] void stop_for_good(RestorerPlan& plan, int error) {
  plan.error = error;
  for (;;) stop();
}

}  // namespace

// Enters with a stack in the area, every signal but SIGTRAP blocked, traced.
extern "C" [[noreturn]] void restorer_entry(wire::RestorerPlan* plan) {
  if (plan->magic != wire::kRestorerMagic || plan->version != wire::kRestorerVersion) {
    constexpr int kInvalid = 22;
    stop_for_good(*plan, -kInvalid);
  }
  int error = rebuild_address_space(*plan);
  if (error == 0) error = rebuild_task(*plan);
  if (error != 0) stop_for_good(*plan, error);
  stop();
  stop_for_good(*plan, rebuild_threads(*plan));
}

}  // namespace cryostat::restorer
