// /proc/<pid>/limits (proc_pid_limits(5)): resource limits without CAP_SYS_RESOURCE.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "engine/base/error.h"

namespace cryostat::procfs {

struct Limit {
  int resource = 0;   // RLIMIT_*
  uint64_t soft = 0;  // RLIM_INFINITY is 2^64-1; units of the resource (bytes, seconds, µs, …)
  uint64_t hard = 0;
};

// All sixteen, ascending by resource; kFailed when one is missing.
Result<std::vector<Limit>> parse_limits(std::string_view text);

}  // namespace cryostat::procfs
