// Scheduling attributes (sched_setattr(2), 3.14) and I/O priority (ioprio_set(2)): no libc
// wrappers.
#pragma once

#include <cstdint>

#include "engine/base/error.h"
#include "engine/base/ids.h"

namespace cryostat::kernel {

// struct sched_attr of linux/sched/types.h, with utilisation clamps (5.3).
struct SchedAttr {
  uint32_t size = sizeof(SchedAttr);
  uint32_t policy = 0;  // SCHED_*
  uint64_t flags = 0;   // SCHED_FLAG_*
  int32_t nice = 0;
  uint32_t priority = 0;
  uint64_t runtime_ns = 0;
  uint64_t deadline_ns = 0;
  uint64_t period_ns = 0;
  uint32_t util_min = 0;
  uint32_t util_max = 0;
};
static_assert(sizeof(SchedAttr) == 56);

inline constexpr uint32_t kSchedExt = 7;  // SCHED_EXT, 6.12
inline constexpr uint64_t kSchedFlagResetOnFork = 0x01;
inline constexpr uint64_t kSchedFlagUtilClampMin = 0x20;
inline constexpr uint64_t kSchedFlagUtilClampMax = 0x40;

Result<SchedAttr> sched_getattr(Tid tid);
Result<void> sched_setattr(Tid tid, const SchedAttr& attributes);

// ioprio_get(2) value of one thread: class << 13 | data.
Result<uint32_t> ioprio_get(Tid tid);
Result<void> ioprio_set(Tid tid, uint32_t value);

}  // namespace cryostat::kernel
