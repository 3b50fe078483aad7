// A staging plan at work in a process that is being restored.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "engine/base/error.h"
#include "engine/memory/staging_plan.h"
#include "engine/memory/store_files.h"

namespace cryostat::memory {

enum class HugePages : uint8_t { kAsConfigured, kNone };

// Every process of the tree has its own copy, in which the areas are those it has mapped itself or
// inherited.
class StagedMemory {
 public:
  explicit StagedMemory(StagingPlan plan);

  // Maps the areas node `node` needs and nobody before it has mapped, and fills them with what it
  // reads. An area that is not free in this process is left out, here and below: its pages are then
  // restored in each task. Files are those of `mm`. `huge_pages`: the node's task may have some.
  // `readers`: how many threads read, which are gone afterwards. Errors: kImages, with the damaged
  // page.
  Result<void> stage(size_t node, const image::MmImage& mm, std::span<const StoreFiles> stores,
                     HugePages huge_pages, uint32_t readers);
  // What stage() reads.
  uint64_t bytes_to_read(size_t node) const;

  // Is `vma` there already, but for its final protection, advice and name? `filled`: pages are
  // written into it.
  bool holds(const pb::Vma& vma, bool filled) const;
  // The pages that are in areas of this process when it is node `node`.
  const PageRuns& present(size_t node) const { return *plan_.present[node]; }

 private:
  enum class State : uint8_t { kNotYet, kMapped, kNotFree };
  const StagingArea* area_at(uint64_t address, State state) const;
  void map(size_t area, const image::MmImage& mm);
  Result<void> fill(const PageRuns& runs, std::span<const StoreFiles> stores, uint32_t readers);

  StagingPlan plan_;
  std::vector<State> states_;  // of the areas
};

}  // namespace cryostat::memory
