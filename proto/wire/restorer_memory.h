// The memory part of the restorer's plan: every VMA, where its pages come from, and the layout.
#pragma once

#include <cstdint>

#include "proto/wire/memory_policy.h"
#include "proto/wire/span.h"

namespace cryostat::wire {

// What is done to a VMA after it is filled; bits of PlannedVma::advice.
enum VmaAdvice : uint32_t {
  kAdviceHugePage = 1u << 0,  // given before the fill, so that the fill uses huge pages
  kAdviceNoHugePage = 1u << 1,
  kAdviceDontFork = 1u << 2,
  kAdviceDontDump = 1u << 3,
  kAdviceWipeOnFork = 1u << 4,
  kAdviceMergeable = 1u << 5,
  kAdviceSequential = 1u << 6,
  kAdviceRandom = 1u << 7,
  kAdviceLock = 1u << 8,
  kAdviceLockOnFault = 1u << 9,
  kAdviceSeal = 1u << 10,  // mseal(2), after everything else
};

struct PlannedVma {
  uint64_t start = 0;  // [start, end)
  uint64_t end = 0;
  uint64_t file_offset_bytes = 0;
  int32_t fd = -1;              // of the child; -1: anonymous
  uint32_t map_flags = 0;       // mmap(2) flags but for MAP_FIXED_NOREPLACE
  uint32_t map_protection = 0;  // while it is filled
  uint32_t protection = 0;      // at last
  uint32_t advice = 0;          // VmaAdvice
  uint32_t protection_key = 0;
  uint32_t inherited = 0;  // 1: is there already, with map_protection and huge page advice
  uint32_t attached = 0;   // 1: part of System V segment `fd`; map_flags are those of shmat(2)
  WireSpan<char> name;     // PR_SET_VMA_ANON_NAME, with its NUL; empty: none
};

// The same layout as struct iovec.
struct FillTarget {
  uint64_t address = 0;
  uint64_t size_bytes = 0;
};
static_assert(sizeof(FillTarget) == 16);

// The page data of one checkpoint of the chain.
struct PageStoreFds {
  int32_t pages_fd = -1;           // pages.img
  int32_t sums_fd = -1;            // page-sums.img
  uint64_t sums_offset_bytes = 0;  // of the sum of page 0 in it
};

// One preadv: consecutive bytes of a store's pages.img into `target_count` places.
struct FillBatch {
  uint64_t file_offset_bytes = 0;
  uint64_t size_bytes = 0;
  uint64_t first_target = 0;  // index into MemoryPlan::fill_targets
  uint32_t target_count = 0;  // at most kFillMaxTargets
  uint32_t store = 0;         // index into MemoryPlan::stores
};
inline constexpr uint32_t kFillMaxTargets = 128;  // a page each at least; below IOV_MAX
// What one reader takes at a time: checksums are taken while the pages still lie in its cache.
inline constexpr uint64_t kFillMaxBytes = 512u << 10;

struct AddressRange {
  uint64_t start = 0;  // [start, end)
  uint64_t end = 0;
};

// The arguments of PR_SET_MM_MAP (prctl(2)), auxv and exe apart.
struct PlannedLayout {
  uint64_t start_code = 0;
  uint64_t end_code = 0;
  uint64_t start_data = 0;
  uint64_t end_data = 0;
  uint64_t start_brk = 0;
  uint64_t brk = 0;
  uint64_t start_stack = 0;
  uint64_t arg_start = 0;
  uint64_t arg_end = 0;
  uint64_t env_start = 0;
  uint64_t env_end = 0;
};

struct MemoryPlan {
  WireSpan<PlannedVma> vmas;         // ascending; no vDSO, vvar or vsyscall among them
  WireSpan<PageStoreFds> stores;     // descriptors of those no batch reads are -1
  WireSpan<FillBatch> fill_batches;  // in the order they are taken
  WireSpan<FillTarget> fill_targets;
  WireSpan<AddressRange> drops;      // inherited pages that the task does not have
  WireSpan<AddressRange> zero_fill;  // pages that must be written with zeroes (COW of a file)
  WireSpan<AddressRange> guards;     // MADV_GUARD_INSTALL
  WireSpan<PlannedPolicy> policies;  // set before the fill
  WireSpan<uint8_t> auxv;
  PlannedLayout layout;
  int32_t exe_fd = -1;
  uint32_t reserved = 0;
  uint32_t reader_threads = 1;  // that fill memory, the leader included
  uint32_t lock_future = 0;     // 0, or the flags of mlockall(2)
  uint64_t task_size = 0;       // first address that no mapping can have
  // Work shared by the readers; written by the blob.
  uint64_t next_batch = 0;
  int64_t fill_error = 0;          // 0, or the first -errno; -EBADMSG: a checksum does not hold
  uint64_t fill_error_detail = 0;  // address it was about
};

}  // namespace cryostat::wire
