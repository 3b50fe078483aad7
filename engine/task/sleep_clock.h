// When did a sleeping thread go to sleep?
//
// A poll(2), a futex(2) wait or a nanosleep(2) without a remainder argument keeps its end in the
// kernel, where nothing can read it. The scheduler tells when a sleeping thread last ran, though
// (se.exec_start in /proc/<tid>/sched, nanoseconds of the scheduler's clock): that is when the call
// began to wait, so its end is that moment plus the timeout among its arguments. It must be read
// before the thread is interrupted, since the interruption makes it run. A call that was interrupted
// before is looked up in another way (timer_list.h).
#pragma once

#include <cstdint>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "engine/base/error.h"
#include "engine/base/ids.h"
#include "engine/task/timer_list.h"

namespace cryostat {
class TaskHandle;
}

namespace cryostat::task {

// A thread that was asleep in a call with a timeout.
struct SleepSample {
  uint64_t number = 0;        // system call number; 219 for restart_syscall(2)
  uint64_t args[6] = {};
  uint64_t stack_pointer = 0;
  // Of the call that restart_syscall goes on with, from the kernel function it sleeps in; else `number`.
  uint64_t original_number = 0;
  int64_t began_monotonic_ns = 0;  // CLOCK_MONOTONIC when it went to sleep; 0: unknown
  int64_t ends_monotonic_ns = 0;   // of a call continued by restart_syscall; 0: unknown
};

// Samples by thread id.
class SleepSamples {
 public:
  const SleepSample* find(Tid tid) const;
  void add(Tid tid, const SleepSample& sample) { samples_[tid.value] = sample; }
  size_t size() const { return samples_.size(); }

  // Before the freeze: if exactly one thread sleeps in a continued call whose end is unknown, notes
  // the timers of the machine. With several such threads nothing tells whose timer is whose.
  void note_timers();
  // After the freeze (and nothing else may be between): finds that thread's timer by its absence.
  void settle(int64_t now_ns);

 private:
  std::unordered_map<pid_t, SleepSample> samples_;
  std::vector<SleepTimer> timers_before_;
  pid_t unsettled_ = 0;
};

// Looks at every thread of a task that runs freely; to be called just before the freeze. Never fails:
// threads that can't be looked at are left out, and so is everything where the kernel lacks
// /proc/<tid>/syscall or /proc/<tid>/sched.
SleepSamples sample_sleeps(const TaskHandle& task);

// Text of /proc/<tid>/syscall → sample (without times) when the thread is blocked in a call whose time
// left would be lost: "35 0x7f… 0x0 … SP PC". kFailed on malformed text; number 0 with no args
// for every other state.
Result<SleepSample> parse_sleeping_call(std::string_view text);

// True for calls that continue from a restart block and carry a relative timeout.
bool is_timed_call(uint64_t number, const uint64_t (&args)[6]);

// CLOCK_MONOTONIC minus the scheduler's clock, nanoseconds; kFailed without /proc/self/sched.
Result<int64_t> scheduler_clock_offset_ns();

}  // namespace cryostat::task
