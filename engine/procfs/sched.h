// /proc/<pid>/task/<tid>/sched (CONFIG_SCHED_DEBUG): when a thread last ran.
#pragma once

#include <cstdint>
#include <string_view>

#include "engine/base/error.h"

namespace cryostat::procfs {

struct SchedInfo {
  uint64_t exec_start_ns = 0;  // se.exec_start: run-queue clock when it last ran
  uint64_t sum_exec_runtime_ns = 0;
};

// kFailed when the lines are not there.
Result<SchedInfo> parse_sched(std::string_view text);

}  // namespace cryostat::procfs
