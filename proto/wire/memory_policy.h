// NUMA policies as the calls of mbind(2) take and tell them, and what the parasite is asked about
// them.
#pragma once

#include <cstddef>
#include <cstdint>

namespace cryostat::wire {

// MAX_NUMNODES of the largest kernels (CONFIG_NODES_SHIFT 10).
inline constexpr uint32_t kMaxNodes = 1024;
// What the calls take as `maxnode`: get_mempolicy(2) the bits of the mask, the others one more.
inline constexpr uint64_t kNodesToGet = kMaxNodes;
inline constexpr uint64_t kNodesToSet = kMaxNodes + 1;

struct MemoryPolicyState {
  int32_t mode = 0;  // MPOL_* with mode flags; 0: MPOL_DEFAULT; -errno: the kernel can't tell
  uint32_t reserved = 0;
  uint64_t nodes[kMaxNodes / 64] = {};  // not set under MPOL_DEFAULT
};
static_assert(sizeof(MemoryPolicyState) == 136);

// One policy of a range of memory, for mbind(2).
struct PlannedPolicy {
  uint64_t start = 0;  // [start, end)
  uint64_t end = 0;
  MemoryPolicyState policy;
};

// Which of these addresses have a policy of their own? `count` numbers follow: an address each,
// which the parasite overwrites with the mode (get_mempolicy(2) with MPOL_F_ADDR), or -errno.
struct PolicyRequest {
  uint32_t count = 0;
  uint32_t reserved = 0;
};
inline constexpr uint32_t kPolicyMaxAddresses = 4096;

inline constexpr uint64_t kPolicyOfAddress = 2;  // MPOL_F_ADDR

}  // namespace cryostat::wire
