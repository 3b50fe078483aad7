// /proc/<pid>/status and /proc/<pid>/task/<tid>/status (proc_pid_status(5)).
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "engine/base/error.h"

namespace cryostat::procfs {

struct IdSet {
  uint32_t real = 0;
  uint32_t effective = 0;
  uint32_t saved = 0;
  uint32_t fs = 0;
};

// Lines a kernel does not print keep their defaults.
struct Status {
  std::string name;    // comm, escapes undone
  uint32_t umask = 0;  // absent (0) for zombies
  bool has_umask = false;
  char state = 0;
  pid_t tgid = 0;
  pid_t pid = 0;
  pid_t ppid = 0;
  pid_t tracer_pid = 0;
  IdSet uid;
  IdSet gid;
  uint64_t fd_table_size = 0;
  std::vector<uint32_t> groups;
  // One number for each pid namespace the task lives in, outermost first (as seen from the
  // reader's).
  std::vector<pid_t> ns_tgid;
  std::vector<pid_t> ns_pid;
  std::vector<pid_t> ns_pgid;
  std::vector<pid_t> ns_sid;
  bool kernel_thread = false;  // "Kthread:", 6.8; false on older kernels (see Stat)
  bool has_memory = false;     // a VmSize line: zombies and kernel threads have none
  uint32_t threads = 0;
  uint64_t signals_queued = 0;  // "SigQ: queued/limit", of the real uid
  uint64_t signals_queue_limit = 0;
  // Signal sets: bit n-1 is signal n.
  uint64_t pending = 0;
  uint64_t shared_pending = 0;
  uint64_t blocked = 0;
  uint64_t ignored = 0;
  uint64_t caught = 0;
  // Capability sets: bit n is capability n.
  uint64_t cap_inheritable = 0;
  uint64_t cap_permitted = 0;
  uint64_t cap_effective = 0;
  uint64_t cap_bounding = 0;
  uint64_t cap_ambient = 0;
  bool no_new_privs = false;
  uint32_t seccomp_mode = 0;
  uint32_t seccomp_filters = 0;  // 5.9
  bool thp_enabled = true;       // "THP_enabled:", 5.0
  uint64_t vm_locked_kib = 0;
  std::vector<bool> allowed_nodes;  // "Mems_allowed_list:": NUMA nodes memory may come from
  std::string shadow_stack;         // "x86_Thread_features:" ("shstk wrss", usually empty), 6.6
};

// kFailed when a line that is known holds something else than numbers.
Result<Status> parse_status(std::string_view text);

}  // namespace cryostat::procfs
