// /proc/<pid>/fdinfo/<fd> (proc_pid_fdinfo(5)).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "engine/base/error.h"

namespace cryostat::procfs {

struct TimerFdInfo {
  int clock_id = 0;
  uint64_t ticks = 0;          // unread expirations
  uint32_t settime_flags = 0;  // TFD_TIMER_*, as given to timerfd_settime(2)
  uint64_t remaining_ns = 0;   // it_value: relative, 0 when disarmed
  uint64_t interval_ns = 0;
};

struct EpollWatchInfo {
  int fd = -1;  // the number it was added under
  uint32_t events = 0;
  uint64_t data = 0;
  uint64_t position = 0;  // of the watched description
  uint64_t inode = 0;
  uint32_t device = 0;  // s_dev as the kernel encodes it (major << 20 | minor)
};

struct FdInfo {
  int64_t position = 0;
  uint32_t flags = 0;  // O_*, O_CLOEXEC for this number included
  int mount_id = -1;
  uint64_t inode = 0;  // "ino:", 5.14; 0 on older kernels
  // Kind-specific lines.
  std::optional<uint64_t> eventfd_count;
  uint64_t eventfd_id = 0;         // "eventfd-id:", 5.2: a number of its own, from 0
  bool eventfd_semaphore = false;  // "eventfd-semaphore:", 6.5; older kernels do not tell
  bool has_eventfd_semaphore = false;
  std::optional<uint64_t> signalfd_mask;  // bit n-1 is signal n
  std::optional<TimerFdInfo> timerfd;
  std::vector<EpollWatchInfo> epoll_watches;
  std::optional<int64_t> pidfd_pid;  // "Pid:" of a pidfd; -1 when gone
  std::vector<std::string> locks;    // "lock:" lines, text after the colon
  // All other lines as they are.
  std::vector<std::string> extra;
};

Result<FdInfo> parse_fdinfo(std::string_view text);

}  // namespace cryostat::procfs
