// Page transfer by the parasite: it looks for pages of its own address space that are not zero and
// writes them with pwritev, so the data is copied once, from where it is into the page cache.
//
// One request is one batch. In the data part of the parasite area lie, one after the other: a
// TransferRequest, its TransferRuns, then (written by the parasite) the zero bitmap.
#pragma once

#include <cstddef>
#include <cstdint>

namespace cryostat::wire {

// Bounds of one batch: they keep the data part small and a stop request answered in milliseconds.
inline constexpr uint32_t kTransferMaxPages = 8192;  // 32 MiB
inline constexpr uint32_t kTransferMaxRuns = 2048;

// `page_count` pages from `address`; readable by the target itself.
struct TransferRun {
  uint64_t address = 0;
  uint32_t page_count = 0;
  uint32_t reserved = 0;
};
static_assert(sizeof(TransferRun) == 16);

struct TransferRequest {
  int32_t fd = -1;          // number in the target, open for writing
  uint32_t run_count = 0;   // at most kTransferMaxRuns
  uint32_t page_count = 0;  // sum over the runs, at most kTransferMaxPages
  uint32_t reserved = 0;
  uint64_t file_offset_bytes = 0;  // where the first page that is not zero goes; the others follow
  // Written by the parasite.
  uint32_t pages_written = 0;
  int32_t error = 0;  // -errno of the write that failed
};
static_assert(sizeof(TransferRequest) == 32);

// Offsets from the TransferRequest.
constexpr size_t transfer_runs_offset() { return sizeof(TransferRequest); }
// One bit per page, in the order of the runs, lowest bit first: set when the page is all zero.
constexpr size_t transfer_zero_bitmap_offset(uint32_t run_count) {
  return transfer_runs_offset() + run_count * sizeof(TransferRun);
}
constexpr size_t transfer_bitmap_bytes(uint32_t page_count) { return (page_count + 63) / 64 * 8; }
constexpr size_t transfer_data_bytes(uint32_t run_count, uint32_t page_count) {
  return transfer_zero_bitmap_offset(run_count) + transfer_bitmap_bytes(page_count);
}

// What the data part of the parasite area must have room for.
inline constexpr size_t kTransferMaxDataBytes =
    transfer_data_bytes(kTransferMaxRuns, kTransferMaxPages);

}  // namespace cryostat::wire
