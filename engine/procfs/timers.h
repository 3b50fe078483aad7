// /proc/<pid>/timers (proc_pid_timers(5)): POSIX timers without their remaining time.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <string_view>
#include <vector>

#include "engine/base/error.h"

namespace cryostat::procfs {

struct PosixTimerInfo {
  uint32_t id = 0;  // kernel timer id
  int signal = 0;
  uint64_t value = 0;      // sigev_value
  int notify = 0;          // SIGEV_SIGNAL, SIGEV_NONE or SIGEV_THREAD, without SIGEV_THREAD_ID
  bool to_thread = false;  // SIGEV_THREAD_ID: notify_id is a tid, else a pid
  pid_t notify_id = 0;     // as the reader's pid namespace numbers it
  int clock_id = 0;        // CLOCK_*
};

Result<std::vector<PosixTimerInfo>> parse_timers(std::string_view text);

}  // namespace cryostat::procfs
