// /proc/meminfo (proc_meminfo(5)).
#pragma once

#include <cstdint>
#include <string_view>

#include "engine/base/error.h"

namespace cryostat::procfs {

// Lines a kernel does not print stay 0.
struct Meminfo {
  uint64_t available_bytes = 0;  // MemAvailable
  uint64_t swap_free_bytes = 0;
  uint64_t commit_limit_bytes = 0;
  uint64_t committed_bytes = 0;  // Committed_AS
};

// kFailed when a line that is known holds no number.
Result<Meminfo> parse_meminfo(std::string_view text);

}  // namespace cryostat::procfs
