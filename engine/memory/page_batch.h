// Gathers page runs until a batch is full.
#pragma once

#include <span>
#include <vector>

#include "engine/memory/page_transfer.h"
#include "proto/wire/parasite_transfer.h"

namespace cryostat::memory {

class PageBatch {
 public:
  explicit PageBatch(uint32_t max_pages = wire::kTransferMaxPages) : max_pages_(max_pages) {}
  // Adds as much of `run` as fits, joined to the run before when it follows it at once, and takes
  // that off `run`. The batch is full when something of `run` is left.
  void add(PageRun& run);
  // The next run is not joined to the one before, even if it follows it: a run lies in one VMA.
  void end_run() { joinable_ = false; }
  bool empty() const { return runs_.empty(); }
  std::span<const PageRun> runs() const { return runs_; }
  uint32_t page_count() const { return page_count_; }
  void clear();

 private:
  std::vector<PageRun> runs_;
  const uint32_t max_pages_;
  uint32_t page_count_ = 0;
  bool joinable_ = true;
};

}  // namespace cryostat::memory
