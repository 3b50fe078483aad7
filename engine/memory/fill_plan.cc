#include "engine/memory/fill_plan.h"

#include <algorithm>

#include "engine/base/ids.h"
#include "engine/image/pagemap_image.h"

namespace cryostat::memory {

namespace {

void add_zeroes(FillPlan& plan, const image::PageRun& run) {
  const uint64_t end = run.address + run.page_count * kPageSize;
  if (!plan.zeroes.empty() && plan.zeroes.back().end == run.address)
    plan.zeroes.back().end = end;
  else
    plan.zeroes.push_back({run.address, end});
}

// Adds at most what fits in one read; returns how many bytes that was.
uint64_t add_part(FillPlan& plan, uint32_t store, uint64_t address, uint64_t offset,
                  uint64_t size) {
  wire::FillBatch* batch = plan.batches.empty() ? nullptr : &plan.batches.back();
  if (batch == nullptr || batch->size_bytes == wire::kFillMaxBytes ||
      batch->target_count == wire::kFillMaxTargets || batch->store != store ||
      batch->file_offset_bytes + batch->size_bytes != offset) {
    plan.batches.push_back(
        {.file_offset_bytes = offset, .first_target = plan.targets.size(), .store = store});
    batch = &plan.batches.back();
  }
  const uint64_t part = std::min(size, wire::kFillMaxBytes - batch->size_bytes);
  wire::FillTarget* last = batch->target_count > 0 ? &plan.targets.back() : nullptr;
  if (last != nullptr && last->address + last->size_bytes == address) {
    last->size_bytes += part;
  } else {
    plan.targets.push_back({address, part});
    ++batch->target_count;
  }
  batch->size_bytes += part;
  return part;
}

}  // namespace

FillPlan plan_fill(const std::vector<image::PageRun>& runs) {
  FillPlan plan;
  for (const image::PageRun& run : runs) {
    if (run.page_index == image::kZeroPage) {
      add_zeroes(plan, run);
      continue;
    }
    uint64_t address = run.address;
    uint64_t offset = run.page_index * kPageSize;
    for (uint64_t left = run.page_count * kPageSize; left > 0;) {
      const uint64_t part = add_part(plan, run.store, address, offset, left);
      address += part;
      offset += part;
      left -= part;
    }
  }
  return plan;
}

}  // namespace cryostat::memory
