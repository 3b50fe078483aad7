// What cr-restore hands to the restorer blob: one arena (see span.h) that starts with a
// RestorerPlan.
//
// Life of a restored task: the engine's hosted child prepares descriptors, session, limits …, maps
// the restorer area where neither the child nor the target has anything, and jumps to the blob's
// entry with the arena's address. The area is one range:
//
//   area_start                                                                     area_end
//   | blob (RX, RW) | arena (RW) | thread stacks, helper stacks (RW) | vDSO parking place |
//
// The blob then runs, in this order:
//   0. meet     (restorer/followers.*)  with tasks that share the address space: one does 1 to 3
//   1. park     (restorer/vdso.*)       vvar and vDSO move into the area
//   2. memory   (restorer/memory.*)     unmap all but the area and what is inherited, map every
//   other VMA, fill, protect, advise
//   3. vdso     (restorer/vdso.*)       vvar and vDSO move to their old place
//   4. locks    (restorer/file_locks.*) engine descriptors are closed, then record locks are set;
//      threads  (restorer/threads.*)    clone3(set_tid) all but the leader
//   5. state    (restorer/task_state.*) what the task's threads share
//   6. the leader stops with int3: all threads exist, traced through CLONE_PTRACE, and the engine
//      lets them go
//   7. state    (restorer/thread_state.*) each thread its own; then the leader the rest of the
//   task's
//   8. every thread stops with int3; the engine, which traces them, takes over.
// Every signal but SIGTRAP is blocked throughout: a trap that is blocked or ignored would make the
// kernel reset the handler of SIGTRAP. A step that fails stores its step and -errno in the plan and
// stops with int3 as well.
#pragma once

#include <cstdint>

#include "proto/wire/restorer_files.h"
#include "proto/wire/restorer_memory.h"
#include "proto/wire/restorer_state.h"
#include "proto/wire/span.h"

namespace cryostat::wire {

inline constexpr uint32_t kRestorerMagic = 0x52535443;  // "CTSR"
inline constexpr uint32_t kRestorerVersion = 2;

// Stack of a thread while it runs blob code.
inline constexpr uint64_t kThreadStackBytes = 8192;
// Stacks for threads that help with filling memory before the real threads exist.
inline constexpr uint64_t kHelperStackBytes = 16384;
inline constexpr uint32_t kMaxHelpers = 16;

enum class RestorerStep : uint32_t {
  kStarted = 0,
  kUnmap,
  kMap,
  kFill,
  kProtect,
  kLayout,
  kVdso,
  kFileLocks,
  kThreads,
  kTaskState,
  kThreadState,
  kDone,
};

// One thread to create (the leader included, as the first).
struct RestorerThread {
  int32_t tid = 0;
  uint32_t reserved = 0;
  uint64_t stack_top = 0;  // in the restorer area, 16-byte aligned
  ThreadState state;       // restorer_state.h
  // Written by the blob.
  uint32_t step = 0;    // RestorerStep reached
  int32_t error = 0;    // -errno of the step that failed
  uint64_t detail = 0;  // what it was about: an address, a timer id, …
};

// One mapping of the vvar/vDSO group, in address order. Zero size: unused.
struct VdsoPiece {
  uint64_t from = 0;
  uint64_t to = 0;  // where it belongs at the end
  uint64_t size_bytes = 0;
};
inline constexpr uint32_t kMaxVdsoPieces = 8;

// How the vDSO gets back to its old address.
//   move:      the group of mappings itself goes there (same vDSO as at the dump)
//   re-target: the group stays where `to` says (a free place) and `image`, the old vDSO's bytes
//   with
//              every function's entry jumping into the new one, is mapped at the old address.
struct VdsoPlan {
  VdsoPiece pieces[kMaxVdsoPieces] = {};
  uint32_t piece_count = 0;  // 0: nothing to move
  uint32_t reserved = 0;
  uint64_t parking = 0;   // in the area; room for all pieces in a row
  uint64_t image_to = 0;  // re-target only
  WireSpan<unsigned char> image;
};

// Descriptors [first, last] that belong to the engine and are closed before the task state is set.
struct DescriptorRange {
  uint32_t first = 0;
  uint32_t last = 0;
};

struct RestorerPlan {
  uint32_t magic = kRestorerMagic;
  uint32_t version = kRestorerVersion;
  uint64_t area_start = 0;  // [area_start, area_end) holds blob, arena and stacks; stays mapped
  uint64_t area_end = 0;
  uint64_t helper_stacks = 0;  // kMaxHelpers stacks of kHelperStackBytes each start here
  MemoryPlan memory;           // restorer_memory.h
  VdsoPlan vdso;
  TaskState task;  // restorer_state.h
  WireSpan<RestorerThread> threads;
  WireSpan<DescriptorRange> service_fds;
  WireSpan<FileLock> file_locks;  // restorer_files.h
  // Tasks that share the address space (CLONE_VM) have areas of their own in it. The one that
  // rebuilds it keeps theirs; it begins when all of them are inside, and they go on when it is
  // done.
  WireSpan<AddressRange> followers;  // their areas, ascending
  uint64_t leader_plan = 0;          // of a follower: the plan of the task that rebuilds; else 0
  // Written by the blob.
  uint32_t step = 0;  // RestorerStep the leader is in
  int32_t error = 0;  // -errno
  uint64_t detail = 0;
  // Between the threads (futex words).
  uint32_t threads_done = 0;  // threads but the leader that have finished, failed ones included
  uint32_t threads_failed = 0;
  // Between the tasks of one address space (futex words).
  uint32_t followers_inside = 0;
  uint32_t memory_ready = 0;
};

}  // namespace cryostat::wire
