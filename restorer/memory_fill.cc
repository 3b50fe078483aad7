#include <asm/unistd.h>
#include <errno.h>
#include <linux/mman.h>

#include "blob/page_hash.h"
#include "engine/kernel/raw_syscall.h"
#include "restorer/memory_steps.h"
#include "restorer/threads.h"

#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23
#endif

namespace cryostat::restorer {

namespace {

constexpr uint64_t kPage = 4096;
// Below this a system call costs more than the faults it saves.
constexpr uint64_t kPopulateBytes = 8 * kPage;
constexpr uint64_t kBatchPages = wire::kFillMaxBytes / kPage;

// XXH3-128 in canonical order, as in page-sums.img; compared, never interpreted.
struct PageSum {
  uint64_t words[2];
};
static_assert(sizeof(PageSum) * kBatchPages <= 2048, "lies on a thread's small stack");

// What one reader needs; readers share the plan.
struct Reader {
  wire::MemoryPlan* memory;
  void* arena;
};

void report(wire::MemoryPlan& memory, long error, uint64_t address) {
  int64_t none = 0;
  if (__atomic_compare_exchange_n(&memory.fill_error, &none, int64_t{error}, false,
                                  __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE)) {
    memory.fill_error_detail = address;
  }
}

// Gets the pages of large targets in one go: a quarter of the time to fill a page is the fault that
// the read would take for it. Only a help (5.14): its errors do not matter.
void populate(const wire::FillTarget* targets, const wire::FillBatch& batch) {
  for (uint32_t i = 0; i < batch.target_count; ++i) {
    if (targets[i].size_bytes < kPopulateBytes) continue;
    raw_syscall(__NR_madvise, targets[i].address, targets[i].size_bytes, MADV_POPULATE_WRITE);
  }
}

// Reads a batch with one system call, or more if the kernel returns less.
bool read_batch(wire::MemoryPlan& memory, const wire::PageStoreFds& store,
                const wire::FillTarget* targets, const wire::FillBatch& batch) {
  const auto fd = static_cast<uint64_t>(store.pages_fd);
  uint64_t done = 0;    // bytes of the whole batch
  uint64_t before = 0;  // bytes of the targets before *targets
  while (done < batch.size_bytes) {
    while (done - before >= targets->size_bytes) before += (targets++)->size_bytes;
    const uint64_t within = done - before;
    const uint64_t offset = batch.file_offset_bytes + done;
    const long got = done == 0 ? raw_syscall(__NR_preadv, fd, reinterpret_cast<uint64_t>(targets),
                                             batch.target_count, offset, 0)
                               : raw_syscall(__NR_pread64, fd, targets->address + within,
                                             targets->size_bytes - within, offset);
    if (got == -EINTR) continue;
    if (got <= 0) {
      report(memory, got < 0 ? got : -EIO, targets->address + within);
      return false;
    }
    done += static_cast<uint64_t>(got);
  }
  return true;
}

bool read_sums(wire::MemoryPlan& memory, const wire::PageStoreFds& store,
               const wire::FillBatch& batch, PageSum* sums) {
  const uint64_t size = batch.size_bytes / kPage * sizeof(PageSum);
  const uint64_t offset =
      store.sums_offset_bytes + batch.file_offset_bytes / kPage * sizeof(PageSum);
  long got;
  do {
    got = raw_syscall(__NR_pread64, static_cast<uint64_t>(store.sums_fd),
                      reinterpret_cast<uint64_t>(sums), size, offset);
  } while (got == -EINTR);
  if (static_cast<uint64_t>(got) == size) return true;
  report(memory, got < 0 ? got : -EIO, 0);
  return false;
}

// Compares what lies in memory now with the checksums.
bool verify_batch(wire::MemoryPlan& memory, const wire::PageStoreFds& store,
                  const wire::FillTarget* targets, const wire::FillBatch& batch,
                  blob::PageHash hash) {
  PageSum sums[kBatchPages];
  if (!read_sums(memory, store, batch, sums)) return false;
  const PageSum* expected = sums;
  for (uint32_t i = 0; i < batch.target_count; ++i) {
    for (uint64_t at = 0; at < targets[i].size_bytes; at += kPage, ++expected) {
      PageSum found;
      hash(reinterpret_cast<const void*>(targets[i].address + at), &found);
      if (found.words[0] == expected->words[0] && found.words[1] == expected->words[1]) continue;
      report(memory, -EBADMSG, targets[i].address + at);
      return false;
    }
  }
  return true;
}

// Takes batch after batch until none is left or one failed.
void read_batches(void* argument) {
  const auto& reader = *static_cast<Reader*>(argument);
  wire::MemoryPlan& memory = *reader.memory;
  const auto* batches = memory.fill_batches.in(reader.arena);
  const blob::PageHash hash = blob::pick_page_hash();
  while (__atomic_load_n(&memory.fill_error, __ATOMIC_ACQUIRE) == 0) {
    const uint64_t index = __atomic_fetch_add(&memory.next_batch, 1, __ATOMIC_RELAXED);
    if (index >= memory.fill_batches.count) return;
    const wire::FillBatch& batch = batches[index];
    const auto* targets = memory.fill_targets.in(reader.arena) + batch.first_target;
    const wire::PageStoreFds& store = memory.stores.in(reader.arena)[batch.store];
    populate(targets, batch);
    if (!read_batch(memory, store, targets, batch)) return;
    if (!verify_batch(memory, store, targets, batch, hash)) return;
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
