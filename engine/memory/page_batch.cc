#include "engine/memory/page_batch.h"

#include <algorithm>

#include "engine/base/ids.h"
#include "proto/wire/parasite_transfer.h"

namespace cryostat::memory {

void PageBatch::add(PageRun& run) {
  const uint32_t pages = std::min(run.page_count, max_pages_ - page_count_);
  if (pages == 0) return;
  const bool follows = joinable_ && !runs_.empty() &&
                       runs_.back().address + runs_.back().page_count * kPageSize == run.address;
  if (follows)
    runs_.back().page_count += pages;
  else if (runs_.size() < wire::kTransferMaxRuns)
    runs_.push_back({run.address, pages});
  else
    return;
  joinable_ = true;
  page_count_ += pages;
  run.address += pages * kPageSize;
  run.page_count -= pages;
}

void PageBatch::clear() {
  runs_.clear();
  page_count_ = 0;
}

}  // namespace cryostat::memory
