// When will a sleeping thread wake up?
//
// A poll(2), a futex(2) wait or a nanosleep(2) without a remainder argument keeps its end in the
// kernel, where nothing can ask for it. Two things tell it all the same, both while the thread
// still sleeps, so they are looked at just before the freeze:
//  - the timer that will end the wait is in /proc/timer_list, and it is one that is gone once the
//    thread is frozen: exact, but several timers may go in that moment;
//  - se.exec_start in /proc/<tid>/sched is when the thread last ran, in nanoseconds of its
//  processor's
//    scheduler clock: when the call began to wait, good to a few percent of the time slept (on a
//    virtual machine that clock leaves out stolen time). Not for a wait that was interrupted before
//    and is continued by restart_syscall(2): it began to wait anew.
// The second picks the right one of the first where there are several.
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

// A thread that was asleep in a call with a relative timeout.
struct SleepSample {
  uint64_t number = 0;  // system call number; 219 for restart_syscall(2)
  uint64_t args[6] = {};
  uint64_t stack_pointer = 0;
  // Of the call that restart_syscall goes on with; else `number`.
  uint64_t original_number = 0;
  // As asked for when the call was made; 0 for a continued call whose time left the kernel tells.
  int64_t timeout_ns = 0;
  int64_t began_monotonic_ns = 0;  // CLOCK_MONOTONIC, estimated; 0: unknown
  int64_t ends_monotonic_ns = 0;   // CLOCK_MONOTONIC; 0: unknown
};

// Samples by thread id.
class SleepSamples {
 public:
  const SleepSample* find(Tid tid) const;
  void add(Tid tid, const SleepSample& sample) { samples_[tid.value] = sample; }
  // Some thread's end is not known from its arguments, and is worth knowing: the time asked for is
  // a millisecond or more.
  bool need_timers() const;

  // Before the freeze: the timers of the machine, if any thread needs them.
  void note_timers(std::vector<SleepTimer> timers) { timers_before_ = std::move(timers); }
  // After the freeze, once: finds each thread's timer by its absence from `after`.
  void settle(std::vector<SleepTimer> after, int64_t now_ns);

 private:
  std::unordered_map<pid_t, SleepSample> samples_;
  std::vector<SleepTimer> timers_before_;
};

// Looks at every thread of a task that runs freely; to be called just before the freeze. Never
// fails: threads that can't be looked at are left out.
SleepSamples sample_sleeps(const TaskHandle& task);

// Text of /proc/<tid>/syscall → number, args and stack pointer: "35 0x7f… 0x0 … SP PC". Number 0
// with no args for a thread that is not blocked in a call. kFailed on malformed text.
Result<SleepSample> parse_sleeping_call(std::string_view text);

// True for calls that have a relative timeout, keep the time left to themselves, and continue from
// a restart block or can be made again (timed_wait.h).
bool is_timed_call(uint64_t number, const uint64_t (&args)[6]);

// CLOCK_MONOTONIC minus the scheduler clock of one processor, nanoseconds. Moves the calling thread
// there for a moment. kFailed without /proc/self/sched or when it can't be moved.
Result<int64_t> scheduler_clock_offset_ns(int cpu);

}  // namespace cryostat::task
