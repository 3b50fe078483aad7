// What cr-restore hands to the restorer blob: one arena (see span.h) that starts with a RestorerPlan.
//
// Life of a restored task: the engine's hosted child prepares descriptors, session, limits …, maps
// the restorer area (blob, arena, stacks) where neither the child nor the target has anything, and
// jumps to the blob's entry with the arena's address. The blob then runs, in this order:
//   1. memory   (restorer/memory.*)     unmap all but the area, map every VMA, fill, protect, advise
//   2. vdso     (restorer/vdso.*)       move vvar and vDSO to their old place
//   3. threads  (restorer/threads.*)    clone3(set_tid) all but the leader
//   4. state    (restorer/task_state.*, thread_state.*)  per task, per thread
//   5. every thread stops with int3; the engine, which traces them, takes over.
// A step that fails stores its step and -errno in the plan and stops with int3 as well.
#pragma once

#include <cstdint>

#include "proto/wire/restorer_memory.h"
#include "proto/wire/restorer_state.h"
#include "proto/wire/span.h"

namespace cryostat::wire {

inline constexpr uint32_t kRestorerMagic = 0x52535443;  // "CTSR"
inline constexpr uint32_t kRestorerVersion = 1;

enum class RestorerStep : uint32_t {
  kStarted = 0,
  kUnmap,
  kMap,
  kFill,
  kProtect,
  kLayout,
  kVdso,
  kThreads,
  kTaskState,
  kThreadState,
  kDone,
};

// One thread to create (the leader included, as the first).
struct RestorerThread {
  int32_t tid = 0;
  uint32_t reserved = 0;
  uint64_t stack_top = 0;      // in the restorer area, 16-byte aligned
  ThreadState state;           // restorer_state.h
  // Written by the blob.
  uint32_t step = 0;           // RestorerStep reached
  int32_t error = 0;           // -errno of the step that failed
  uint64_t detail = 0;         // what it was about: an address, a timer id, …
};

struct RestorerPlan {
  uint32_t magic = kRestorerMagic;
  uint32_t version = kRestorerVersion;
  uint64_t area_start = 0;     // [area_start, area_end) holds blob, arena and stacks; stays mapped
  uint64_t area_end = 0;
  MemoryPlan memory;           // restorer_memory.h
  // vDSO move: what the child has now and where it belongs. 0: nothing to move.
  uint64_t vvar_from = 0;
  uint64_t vvar_to = 0;
  uint64_t vvar_size_bytes = 0;
  uint64_t vdso_from = 0;
  uint64_t vdso_to = 0;
  uint64_t vdso_size_bytes = 0;
  TaskState task;              // restorer_state.h
  WireSpan<RestorerThread> threads;
  // Written by the blob.
  uint32_t step = 0;
  int32_t error = 0;
  uint64_t detail = 0;
};

}  // namespace cryostat::wire
