// /proc/timer_list: the armed high-resolution timers of the machine. Only root can read it.
//
// A call continued by restart_syscall(2) has its end in the kernel alone, and when it began to wait is
// no longer known. But the timer that will end it is listed, and it is the one that is gone once
// the thread is frozen.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "engine/base/error.h"

namespace cryostat::task {

// A timer that will wake a sleeping thread.
struct SleepTimer {
  std::string id;            // the kernel's (hashed) address of it: the same as long as it is armed
  int64_t end_ns = 0;        // CLOCK_MONOTONIC
  bool operator==(const SleepTimer&) const = default;
};

// Those on the monotonic clock that wake a thread (hrtimer_wakeup). Lines of other shapes are skipped.
std::vector<SleepTimer> parse_timer_list(std::string_view text);

// Empty where /proc/timer_list can't be read.
std::vector<SleepTimer> read_timer_list();

// The end of the one timer that was in `before`, is not in `after`, and had not ended at `now_ns`;
// nothing when there are none or several.
std::optional<int64_t> end_of_vanished(const std::vector<SleepTimer>& before,
                                       const std::vector<SleepTimer>& after, int64_t now_ns);

}  // namespace cryostat::task
