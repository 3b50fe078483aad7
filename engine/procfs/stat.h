// /proc/<pid>/stat and /proc/<pid>/task/<tid>/stat (proc_pid_stat(5)).
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <string>
#include <string_view>

#include "engine/base/error.h"

namespace cryostat::procfs {

// Address fields are 0 without ptrace access to the task.
struct Stat {
  pid_t pid = 0;
  std::string comm;  // without the brackets; may hold any byte, also ')' and '\n'
  char state = 0;    // R S D Z T t X I
  pid_t ppid = 0;
  pid_t pgrp = 0;
  pid_t session = 0;
  uint32_t tty_nr = 0;  // device number of the controlling terminal, 0: none
  pid_t tpgid = -1;     // foreground process group of that terminal, -1: none
  uint32_t flags = 0;   // PF_* of the kernel
  uint64_t user_ticks = 0;
  uint64_t system_ticks = 0;
  int64_t children_user_ticks = 0;
  int64_t children_system_ticks = 0;
  int64_t priority = 0;
  int64_t nice = 0;
  int64_t thread_count = 0;
  uint64_t start_time_ticks = 0;  // since boot
  uint64_t vsize_bytes = 0;
  int64_t rss_pages = 0;
  uint64_t start_code = 0;
  uint64_t end_code = 0;
  uint64_t start_stack = 0;
  int exit_signal = 0;
  int processor = 0;
  uint32_t rt_priority = 0;
  uint32_t policy = 0;  // SCHED_*
  uint64_t start_data = 0;
  uint64_t end_data = 0;
  uint64_t start_brk = 0;
  uint64_t arg_start = 0;
  uint64_t arg_end = 0;
  uint64_t env_start = 0;
  uint64_t env_end = 0;
  uint32_t exit_status = 0;  // of a zombie, as waitpid(2) tells it

  // PF_KTHREAD (include/linux/sched.h, unchanged since 2.6.17): no user space behind this task.
  bool is_kernel_thread() const { return (flags & 0x00200000) != 0; }
};

// kFailed when the text does not look like a stat line.
Result<Stat> parse_stat(std::string_view text);

}  // namespace cryostat::procfs
