#include "engine/memory/parent_content.h"

#include <algorithm>

#include "engine/base/ids.h"
#include "engine/image/chain.h"

namespace cryostat::memory {

namespace {
uint64_t end_of(const image::PageRun& run) {
  return run.address + uint64_t{run.page_count} * kPageSize;
}
}  // namespace

ParentContent::ParentContent(const image::Chain& chain, const image::PagemapImage::Key& owner)
    : chain_(&chain),
      runs_(&chain.pagemap().runs(owner.first, owner.second)),
      owner_id_(owner.second) {}

// The sum of the page at `address`; nullptr when there is none, or a zero page.
const image::PageSum* ParentContent::find(uint64_t address) {
  const auto& runs = *runs_;
  if (at_ >= runs.size() || address < runs[at_].address || address >= end_of(runs[at_])) {
    const auto after = std::upper_bound(
        runs.begin(), runs.end(), address,
        [](uint64_t wanted, const image::PageRun& run) { return wanted < run.address; });
    if (after == runs.begin() || address >= end_of(*(after - 1))) return nullptr;
    at_ = static_cast<size_t>(after - runs.begin()) - 1;
  }
  const image::PageRun& run = runs[at_];
  if (run.page_index == image::kZeroPage) return nullptr;
  const uint64_t index = run.page_index + (address - run.address) / kPageSize;
  return &chain_->member(run.store).sums()[index];
}

bool ParentContent::same(uint64_t address, const image::PageSum& sum) {
  const image::PageSum* const there = find(address);
  return there != nullptr && *there == sum;
}

}  // namespace cryostat::memory
