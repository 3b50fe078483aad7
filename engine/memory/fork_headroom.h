// Is there memory enough for a fork of a target, even if the target then writes to all of it?
#pragma once

#include <cstdint>
#include <string>

#include "engine/base/error.h"

namespace cryostat {
class TaskHandle;
}

namespace cryostat::memory {

inline constexpr uint64_t kNoLimit = ~uint64_t{0};

// What the fork may cost.
struct ForkNeed {
  uint64_t private_bytes = 0;    // copied page by page as the target goes on writing
  uint64_t accounted_bytes = 0;  // promised at the fork (vm.overcommit_memory = 2)
};

// What is left; kNoLimit where nothing limits it.
struct ForkHeadroom {
  uint64_t available_bytes = kNoLimit;  // of the machine: free, reclaimable, swap
  uint64_t commit_bytes = kNoLimit;     // of the commit limit, where it is enforced
  uint64_t cgroup_bytes = kNoLimit;     // of the memory limits of the target's control groups
};

// Estimates, from /proc: the target may be running. Errors: kTargetGone.
Result<ForkNeed> read_fork_need(const TaskHandle& task);
Result<ForkHeadroom> read_fork_headroom(const TaskHandle& task);

// Empty when it fits; else what is too little, in words. Nothing must get tight for the target
// because of us: an eighth of the need is left over.
std::string why_fork_does_not_fit(const ForkNeed& need, const ForkHeadroom& headroom);

// How much may be added under a limit: `limit` and `usage` of a control group, of which
// `reclaimable` bytes would make room.
uint64_t cgroup_headroom(uint64_t limit, uint64_t usage, uint64_t reclaimable);

}  // namespace cryostat::memory
