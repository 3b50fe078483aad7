// The engine's own privileges (capabilities(7)).
#pragma once

#include <cstdint>
#include <string>

#include "engine/base/error.h"

namespace cryostat::kernel {

// Effective set of the calling thread: bit n is capability n.
Result<uint64_t> effective_capabilities();

struct Privileges {
  bool checkpoint_restore = false;  // CAP_CHECKPOINT_RESTORE or CAP_SYS_ADMIN: pids, map_files
  bool sys_ptrace = false;          // CAP_SYS_PTRACE: tasks of others
  bool sys_admin = false;           // CAP_SYS_ADMIN: seccomp filters
  bool sys_resource = false;        // CAP_SYS_RESOURCE: raising hard limits, others' limits
  uint64_t effective = 0;           // all
  bool has(int capability) const { return (effective >> capability & 1) != 0; }
};
Result<Privileges> this_privileges();

// "CAP_SYS_PTRACE" for 19; "capability 77" for unknown ones.
std::string capability_name(int capability);

}  // namespace cryostat::kernel
