// The parasite makes a copy of its address space that lives on without it (parasite/memory_copy.*).
//
// Three processes take part, each started by the one before it:
//   1. the messenger shares the target's memory, closes its descriptors and joins the foster
//      namespace, so that what it starts belongs to the engine;
//   2. the midwife shares the memory too. It is the first process inside the foster namespace;
//   3. the copy has the memory for itself (the kernel's fork). When the midwife exits, its parent
//      becomes the init of the foster namespace.
// The target waits for the messenger, so that nothing but the copy is left.
#pragma once

#include <cstddef>
#include <cstdint>

namespace cryostat::wire {

inline constexpr size_t kCopyStackBytes = 4096;

enum class MemoryCopyStep : int32_t {
  kNone = 0,
  kStartMessenger = 1,
  kDropDescriptors = 2,  // close_range(2) with CLOSE_RANGE_UNSHARE
  kJoinUserNamespace = 3,
  kJoinPidNamespace = 4,
  kStartMidwife = 5,
  kFork = 6,
  kReapMessenger = 7,
};

struct MemoryCopyRequest {
  int32_t user_namespace_fd = -1;  // numbers in the target; -1: no user namespace to join
  int32_t pid_namespace_fd = -1;
  // 1: SIGCHLD is ignored while the messenger ends, so that the kernel reaps it and the target's
  // RUSAGE_CHILDREN does not change. Precondition: no child, no pending SIGCHLD.
  uint32_t quiet = 0;
  // Written by the parasite.
  int32_t copy_pid = 0;  // in the foster namespace
  MemoryCopyStep failed_step = MemoryCopyStep::kNone;
  int32_t error = 0;  // -errno of that step
  uint32_t reserved[2] = {};
  alignas(64) unsigned char messenger_stack[kCopyStackBytes];
  unsigned char midwife_stack[kCopyStackBytes];
  unsigned char copy_stack[kCopyStackBytes];
};
static_assert(offsetof(MemoryCopyRequest, messenger_stack) == 64);

}  // namespace cryostat::wire
