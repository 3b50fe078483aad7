#include "engine/task/timers.h"

#include <sys/time.h>
#include <time.h>

#include <algorithm>
#include <cstring>

#include "engine/procfs/timers.h"
#include "proto/task.pb.h"
#include "proto/timers.pb.h"

namespace cryostat::task {

namespace {

constexpr uint64_t kNanosPerSecond = 1'000'000'000;
constexpr uint64_t kMicrosPerSecond = 1'000'000;

uint64_t micros(int64_t s, int64_t us) {
  return static_cast<uint64_t>(s) * kMicrosPerSecond + static_cast<uint64_t>(us);
}
uint64_t nanos(int64_t s, int64_t ns) {
  return static_cast<uint64_t>(s) * kNanosPerSecond + static_cast<uint64_t>(ns);
}

// Negative clock ids name CPU-time clocks: ~pid << 3 | per-thread bit and which time
// (include/linux/posix-timers_types.h, the ABI behind clock_getcpuclockid(3)). 0 is the caller
// itself.
pid_t owner_of_clock(int clock_id) { return ~(clock_id >> 3); }
bool is_cpu_clock(int clock_id) { return clock_id < 0; }
bool is_thread_clock(int clock_id) { return (clock_id & 4) != 0; }

bool holds_itimer_signal(std::span<const siginfo_t> queue) {
  return std::ranges::any_of(queue, [](const siginfo_t& info) {
    return info.si_signo == SIGALRM && info.si_code == SI_KERNEL;
  });
}
bool holds_signal_of(std::span<const siginfo_t> queue, uint32_t timer_id) {
  return std::ranges::any_of(queue, [&](const siginfo_t& info) {
    return info.si_code == SI_TIMER && info.si_timerid == static_cast<int>(timer_id);
  });
}

// What is left of a timer that ended `elapsed` after `remaining` was read at most.
uint64_t after_ending(uint64_t remaining, uint64_t interval, uint64_t elapsed) {
  if (interval == 0) return 0;
  const uint64_t past = elapsed - remaining;
  return interval - past % interval;
}

}  // namespace

void save_interval_timers(const wire::TaskStateReport& report, pb::Task& image) {
  for (uint32_t which = 0; which < 3; ++which) {
    const wire::IntervalTimerState& timer = report.interval_timers[which];
    const uint64_t interval = micros(timer.interval_s, timer.interval_us);
    const uint64_t remaining = micros(timer.remaining_s, timer.remaining_us);
    if (interval == 0 && remaining == 0) continue;
    pb::IntervalTimer& saved = *image.add_interval_timers();
    saved.set_which(which);
    saved.set_interval_us(interval);
    saved.set_remaining_us(remaining);
  }
}

std::string save_posix_timer(const procfs::PosixTimerInfo& timer,
                             const wire::PosixTimerReport& report, pid_t pid, pb::Task& image) {
  if (is_cpu_clock(timer.clock_id) && !is_thread_clock(timer.clock_id)) {
    const pid_t owner = owner_of_clock(timer.clock_id);
    if (owner != 0 && owner != pid)
      return "timer on the CPU time of process " + std::to_string(owner) + " can't be checkpointed";
  }
  if (report.error != 0) return "timer can't be read: " + std::string(strerror(-report.error));
  pb::PosixTimer& saved = *image.add_posix_timers();
  saved.set_id(timer.id);
  saved.set_clock_id(timer.clock_id);
  saved.set_notify(static_cast<uint32_t>(timer.notify | (timer.to_thread ? SIGEV_THREAD_ID : 0)));
  saved.set_signal(static_cast<uint32_t>(timer.signal));
  saved.set_value(timer.value);
  saved.set_notify_tid(timer.to_thread ? timer.notify_id : 0);
  saved.set_interval_ns(nanos(report.interval_s, report.interval_ns));
  saved.set_remaining_ns(nanos(report.remaining_s, report.remaining_ns));
  saved.set_overrun(report.overrun);
  return {};
}

void settle_ended_timers(std::span<const siginfo_t> shared_queue, uint64_t elapsed_ns,
                         pb::Task& image) {
  for (pb::IntervalTimer& timer : *image.mutable_interval_timers()) {
    const uint64_t elapsed_us = elapsed_ns / 1000 + 1;
    if (timer.which() != ITIMER_REAL || timer.remaining_us() == 0 ||
        timer.remaining_us() > elapsed_us || !holds_itimer_signal(shared_queue))
      continue;
    timer.set_remaining_us(after_ending(timer.remaining_us(), timer.interval_us(), elapsed_us));
  }
  for (pb::PosixTimer& timer : *image.mutable_posix_timers()) {
    if (is_cpu_clock(timer.clock_id()) || timer.remaining_ns() == 0 ||
        timer.remaining_ns() > elapsed_ns || !holds_signal_of(shared_queue, timer.id()))
      continue;
    timer.set_remaining_ns(after_ending(timer.remaining_ns(), timer.interval_ns(), elapsed_ns));
  }
}

void plan_timers(const pb::Task& image, WireArena& arena, wire::TaskState& state) {
  for (const pb::IntervalTimer& timer : image.interval_timers()) {
    if (timer.which() > 2 || timer.remaining_us() == 0) continue;
    state.interval_timer_mask |= 1u << timer.which();
    state.interval_timers[timer.which()] = {
        static_cast<int64_t>(timer.interval_us() / kMicrosPerSecond),
        static_cast<int64_t>(timer.interval_us() % kMicrosPerSecond),
        static_cast<int64_t>(timer.remaining_us() / kMicrosPerSecond),
        static_cast<int64_t>(timer.remaining_us() % kMicrosPerSecond)};
  }
  std::vector<wire::PosixTimerState> timers;
  for (const pb::PosixTimer& timer : image.posix_timers()) {
    wire::PosixTimerState& planned = timers.emplace_back();
    planned.id = static_cast<int32_t>(timer.id());
    planned.clock_id = timer.clock_id();
    planned.notify = static_cast<int32_t>(timer.notify());
    planned.signal = static_cast<int32_t>(timer.signal());
    planned.value = timer.value();
    planned.notify_tid = timer.notify_tid();
    planned.interval_ns = timer.interval_ns();
    planned.remaining_ns = timer.remaining_ns();
  }
  std::ranges::sort(timers, {}, &wire::PosixTimerState::id);
  state.posix_timers = arena.append(timers);
}

}  // namespace cryostat::task
