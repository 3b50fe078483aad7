// Pure parts: batches, the parasite's answer, the plan of a fill.
#include <numeric>

#include "engine/base/ids.h"
#include "engine/image/pagemap_image.h"
#include "engine/memory/fill_plan.h"
#include "engine/memory/page_batch.h"
#include "engine/memory/transfer_result.h"
#include "proto/wire/parasite_transfer.h"
#include "tests/support/catch.h"

namespace cryostat::memory {
namespace {

TEST_CASE("a batch joins runs that follow each other") {
  PageBatch batch;
  for (PageRun run : {PageRun{0x1000, 2}, PageRun{0x3000, 1}, PageRun{0x9000, 1}}) {
    batch.add(run);
    CHECK(run.page_count == 0);
  }
  REQUIRE(batch.runs().size() == 2);
  CHECK(batch.runs()[0] == PageRun{0x1000, 3});
  CHECK(batch.runs()[1] == PageRun{0x9000, 1});
  CHECK(batch.page_count() == 4);
  batch.end_run();
  PageRun other_vma = {0xa000, 1};
  batch.add(other_vma);
  CHECK(batch.runs().size() == 3);
}

TEST_CASE("a batch takes no more pages and runs than one transfer may have") {
  PageBatch batch;
  PageRun run = {0x100000, wire::kTransferMaxPages + 5};
  batch.add(run);
  CHECK(run == PageRun{0x100000 + wire::kTransferMaxPages * kPageSize, 5});
  batch.clear();
  for (uint64_t i = 0; i < wire::kTransferMaxRuns; ++i) {
    PageRun single = {i * 2 * kPageSize, 1};
    batch.add(single);
    REQUIRE(single.page_count == 0);
  }
  PageRun late = {uint64_t{1} << 40, 1};
  batch.add(late);
  CHECK(late.page_count == 1);
}

TEST_CASE("zero bits split runs and take no index") {
  const std::vector<PageRun> runs = {{0x10000, 3}, {0x50000, 130}};
  uint64_t bitmap[3] = {};
  const auto set = [&bitmap](uint64_t bit) { bitmap[bit / 64] |= uint64_t{1} << (bit % 64); };
  set(1);
  for (uint64_t bit = 3 + 60; bit < 3 + 70; ++bit) set(bit);
  std::vector<StoredRun> stored;
  CHECK(split_runs(runs, bitmap, 7, stored) == 122);
  const std::vector<StoredRun> expected = {
      {0x10000, 7, 1},
      {0x11000, image::kZeroPage, 1},
      {0x12000, 8, 1},
      {0x50000, 9, 60},
      {0x50000 + 60 * kPageSize, image::kZeroPage, 10},
      {0x50000 + 70 * kPageSize, 69, 60},
  };
  CHECK(stored == expected);
}

uint64_t total(const FillPlan& plan) {
  return std::accumulate(
      plan.targets.begin(), plan.targets.end(), uint64_t{0},
      [](uint64_t sum, const wire::FillTarget& target) { return sum + target.size_bytes; });
}

TEST_CASE("a fill reads what follows in the file at once") {
  const FillPlan plan = plan_fill({{0x10000, 5, 2}, {0x20000, 7, 1}, {0x30000, 100, 1}});
  REQUIRE(plan.batches.size() == 2);
  CHECK(plan.batches[0].file_offset_bytes == 5 * kPageSize);
  CHECK(plan.batches[0].size_bytes == 3 * kPageSize);
  CHECK(plan.batches[0].target_count == 2);
  CHECK(plan.batches[1].first_target == 2);
  CHECK(total(plan) == 4 * kPageSize);
}

TEST_CASE("a fill is cut where one reader's share ends, and zero runs are no reads") {
  const auto pages = static_cast<uint32_t>(2 * wire::kFillMaxBytes / kPageSize + 3);
  const FillPlan plan = plan_fill({{0x10000, image::kZeroPage, 2},
                                   {0x12000, image::kZeroPage, 1},
                                   {uint64_t{1} << 32, 0, pages}});
  REQUIRE(plan.batches.size() == 3);
  CHECK(plan.batches[2].size_bytes == 3 * kPageSize);
  CHECK(plan.batches[2].file_offset_bytes == 2 * wire::kFillMaxBytes);
  CHECK(total(plan) == pages * kPageSize);
  REQUIRE(plan.zeroes.size() == 1);
  CHECK(plan.zeroes[0].start == 0x10000);
  CHECK(plan.zeroes[0].end == 0x13000);
}

TEST_CASE("a fill has no more places in one read than the blob takes") {
  std::vector<image::PageRun> runs;
  for (uint64_t i = 0; i < 1000; ++i) runs.push_back({0x100000 + i * 2 * kPageSize, i, 1});
  const FillPlan plan = plan_fill(runs);
  REQUIRE(plan.batches.size() == (1000 + wire::kFillMaxTargets - 1) / wire::kFillMaxTargets);
  CHECK(plan.batches[0].target_count == wire::kFillMaxTargets);
  CHECK(plan.targets.size() == 1000);
}

}  // namespace
}  // namespace cryostat::memory
