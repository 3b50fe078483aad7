#include <asm/unistd.h>
#include <errno.h>

#include "engine/kernel/raw_syscall.h"
#include "restorer/memory_steps.h"
#include "restorer/threads.h"

namespace cryostat::restorer {

namespace {

// What one reader needs; readers share the plan.
struct Reader {
  wire::MemoryPlan* memory;
  void* arena;
};

void report(wire::MemoryPlan& memory, long error, uint64_t address) {
  int64_t none = 0;
  if (__atomic_compare_exchange_n(&memory.fill_error, &none, int64_t{error}, false, __ATOMIC_ACQ_REL,
                                  __ATOMIC_ACQUIRE)) {
    memory.fill_error_detail = address;
  }
}

// Takes `bytes` that were read off the targets; the arena is this task's own copy.
wire::FillTarget* skip(wire::FillTarget* at, uint64_t bytes) {
  while (bytes > 0 && bytes >= at->size_bytes) bytes -= (at++)->size_bytes;
  if (bytes > 0) {
    at->address += bytes;
    at->size_bytes -= bytes;
  }
  return at;
}

void read_batch(wire::MemoryPlan& memory, wire::FillTarget* targets, const wire::FillBatch& batch) {
  wire::FillTarget* at = targets + batch.first_target;
  wire::FillTarget* const end = at + batch.target_count;
  uint64_t offset = batch.file_offset_bytes;
  while (at != end) {
    const long got =
        raw_syscall(__NR_preadv, static_cast<uint64_t>(memory.pages_fd), reinterpret_cast<uint64_t>(at),
                    static_cast<uint64_t>(end - at), offset, 0);
    if (got == -EINTR) continue;
    if (got <= 0) return report(memory, got < 0 ? got : -EIO, at->address);
    offset += static_cast<uint64_t>(got);
    at = skip(at, static_cast<uint64_t>(got));
  }
}

// Takes batch after batch until none is left or one failed.
void read_batches(void* argument) {
  const auto& reader = *static_cast<Reader*>(argument);
  wire::MemoryPlan& memory = *reader.memory;
  const auto* batches = memory.fill_batches.in(reader.arena);
  while (__atomic_load_n(&memory.fill_error, __ATOMIC_ACQUIRE) == 0) {
    const uint64_t index = __atomic_fetch_add(&memory.next_batch, 1, __ATOMIC_RELAXED);
    if (index >= memory.fill_batches.count) return;
    read_batch(memory, memory.fill_targets.in(reader.arena), batches[index]);
  }
}

// Zero pages that hide the content of a private file mapping: writing makes them private.
void write_zeroes(const wire::MemoryPlan& memory, void* arena) {
  const auto* ranges = memory.zero_fill.in(arena);
  for (uint64_t i = 0; i < memory.zero_fill.count; ++i) {
    __builtin_memset(reinterpret_cast<void*>(ranges[i].start), 0, ranges[i].end - ranges[i].start);
  }
}

}  // namespace

int fill_areas(wire::RestorerPlan& plan, void* arena) {
  wire::MemoryPlan& memory = plan.memory;
  Reader reader = {&memory, arena};
  Helper helpers[wire::kMaxHelpers];
  uint32_t started = 0;
  const uint32_t wanted = memory.reader_threads > 1 ? memory.reader_threads - 1 : 0;
  while (started < wanted && started < wire::kMaxHelpers) {
    // Fewer readers (RLIMIT_NPROC, cgroup limits) are only slower.
    if (start_helper(plan, started, read_batches, &reader, helpers[started]) != 0) break;
    ++started;
  }
  read_batches(&reader);
  for (uint32_t i = 0; i < started; ++i) join_helper(helpers[i]);
  if (memory.fill_error != 0) return failed_at(plan, memory.fill_error_detail, memory.fill_error);
  write_zeroes(memory, arena);
  return 0;
}

}  // namespace cryostat::restorer
