#include "restorer/posix_timers.h"

namespace cryostat::restorer {

namespace {

using wire::PosixTimerState;
using wire::StateCall;
using namespace wire::calls;

constexpr int kErange = 34;
constexpr int kSigevNone = 1;
constexpr int64_t kNanosPerSecond = 1'000'000'000;
// Kernels that can't be told an id count up from 0; past this many steps we give up.
constexpr int32_t kMaxIdSteps = 4'000'000;

KernelSigevent event_of(const PosixTimerState& timer) {
  KernelSigevent event;
  event.value = timer.value;
  event.signal = timer.signal;
  event.notify = timer.notify;
  event.tid = timer.notify_tid;
  // SIGEV_NONE timers have no signal to check, but the kernel wants a valid number with the others.
  if (timer.notify == kSigevNone) event.signal = 0;
  return event;
}

uint64_t clock_of(const PosixTimerState& timer) {
  return static_cast<uint64_t>(static_cast<int64_t>(timer.clock_id));
}

// Linux 6.15 and later take the id from the result word while PR_TIMER_CREATE_RESTORE_IDS is on.
void create_with_id(const PosixTimerState& timer, StateStep& step) {
  const KernelSigevent event = event_of(timer);
  int32_t id = timer.id;
  step.run(StateCall::kTimerCreate, static_cast<uint64_t>(timer.id), __NR_timer_create,
           clock_of(timer), address_of(&event), address_of(&id));
}

// Older kernels hand out ids in order: create and delete until the wanted one comes up.
void create_counting_up(const PosixTimerState& timer, StateStep& step) {
  const KernelSigevent event = event_of(timer);
  for (int32_t tries = 0; tries < kMaxIdSteps && !step.failed(); ++tries) {
    int32_t id = -1;
    step.run(StateCall::kTimerCreate, static_cast<uint64_t>(timer.id), __NR_timer_create,
             clock_of(timer), address_of(&event), address_of(&id));
    if (step.failed() || id == timer.id) return;
    raw_syscall(__NR_timer_delete, static_cast<uint64_t>(static_cast<int64_t>(id)));
    if (id > timer.id) break;
  }
  step.fail(StateCall::kTimerCreate, static_cast<uint64_t>(timer.id), -kErange);
}

}  // namespace

void create_posix_timers(const wire::WireSpan<PosixTimerState>& timers, void* arena,
                         StateStep& step) {
  if (timers.count == 0) return;
  const PosixTimerState* items = timers.in(arena);
  const bool by_id = raw_syscall(__NR_prctl, kPrTimerCreateRestoreIds, 1, 0, 0, 0) == 0;
  for (uint64_t i = 0; i < timers.count; ++i)
    by_id ? create_with_id(items[i], step) : create_counting_up(items[i], step);
  if (by_id) raw_syscall(__NR_prctl, kPrTimerCreateRestoreIds, 0, 0, 0, 0);
}

void arm_posix_timers(const wire::WireSpan<PosixTimerState>& timers, void* arena, StateStep& step) {
  const PosixTimerState* items = timers.in(arena);
  for (uint64_t i = 0; i < timers.count; ++i) {
    if (items[i].remaining_ns == 0) continue;
    KernelItimerspec spec;
    spec.interval = {static_cast<int64_t>(items[i].interval_ns) / kNanosPerSecond,
                     static_cast<int64_t>(items[i].interval_ns) % kNanosPerSecond};
    spec.remaining = {static_cast<int64_t>(items[i].remaining_ns) / kNanosPerSecond,
                      static_cast<int64_t>(items[i].remaining_ns) % kNanosPerSecond};
    step.run(StateCall::kTimerSettime, static_cast<uint64_t>(items[i].id), __NR_timer_settime,
             static_cast<uint64_t>(static_cast<int64_t>(items[i].id)), 0, address_of(&spec), 0);
  }
}

}  // namespace cryostat::restorer
