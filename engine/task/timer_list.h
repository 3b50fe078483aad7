// /proc/timer_list: the armed high-resolution timers of the machine. Only root can read it.
#pragma once

#include <compare>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace cryostat::task {

// A timer that will wake a sleeping thread.
struct SleepTimer {
  std::string id;        // the kernel's (hashed) address of it: the same as long as it is armed
  int64_t end_ns = 0;    // CLOCK_MONOTONIC
  int64_t slack_ns = 0;  // how late it may be
  auto operator<=>(const SleepTimer&) const = default;
};

// Those on the monotonic clock that wake a thread (hrtimer_wakeup). Lines of other shapes are
// skipped.
std::vector<SleepTimer> parse_timer_list(std::string_view text);

// Empty where /proc/timer_list can't be read.
std::vector<SleepTimer> read_timer_list();

}  // namespace cryostat::task
