// Which pages are staged in which process of a tree.
#include "engine/memory/staging_plan.h"

#include "engine/base/ids.h"
#include "engine/image/format.h"
#include "tests/support/catch.h"

namespace cryostat::memory {

static bool operator==(const StagingArea& a, const RemoteRange& range) {
  return a.start == range.start && a.end == range.end;
}

namespace {

constexpr uint64_t kBase = 0x10000000;

// Pages by their number from kBase on.
image::PageRun run(uint64_t page, uint32_t count, uint64_t index, uint32_t store = 0) {
  return {kBase + page * kPageSize, index, count, store};
}

std::string text(const PageRuns& runs) {
  std::string text;
  for (const auto& each : runs) {
    text += std::to_string((each.address - kBase) / kPageSize) + "+" +
            std::to_string(each.page_count) + "=" +
            (each.page_index == image::kZeroPage ? "zero" : std::to_string(each.page_index)) + " ";
  }
  return text;
}

RemoteRange range(uint64_t page, uint64_t count) {
  return {kBase + page * kPageSize, kBase + (page + count) * kPageSize};
}

pb::Vma vma(uint64_t page, uint64_t count) {
  pb::Vma vma;
  vma.set_start(range(page, count).start);
  vma.set_end(range(page, count).end);
  vma.set_protection(3);
  vma.set_account(true);
  return vma;
}

TEST_CASE("page runs as sets") {
  const PageRuns runs = {run(0, 10, 100), run(20, 5, image::kZeroPage), run(30, 4, 200)};
  CHECK(text(pages_at(runs, std::vector{range(2, 3), range(8, 14), range(33, 9)})) ==
        "2+3=102 8+2=108 20+2=zero 33+1=203 ");
  CHECK(text(pages_not_at(runs, std::vector{range(2, 3), range(8, 14), range(33, 9)})) ==
        "0+2=100 5+3=105 22+3=zero 30+3=200 ");
  CHECK(text(pages_not_at(runs, {})) == text(runs));
  CHECK(text(without_same(runs, {run(0, 4, 100), run(4, 4, 90), run(21, 1, image::kZeroPage),
                                 run(28, 4, 198), run(32, 2, 202, 1)})) ==
        "4+6=104 20+1=zero 22+3=zero 32+2=202 ");
  CHECK(text(overlay(runs, {run(5, 20, 500)})) == "0+10=100 10+10=505 20+5=zero 30+4=200 ");
  CHECK(addresses_of({run(0, 2, 1), run(2, 2, 9), run(5, 1, 4)}).size() == 2);
}

TEST_CASE("pages of at least two") {
  const PageRuns parent = {run(0, 10, 100), run(20, 5, 300)};
  const PageRuns first = {run(0, 4, 100), run(4, 2, 500), run(6, 4, 106)};
  const PageRuns second = {run(2, 5, 102), run(20, 5, image::kZeroPage)};
  CHECK(text(shared_pages(std::vector{&parent, &first})) == "0+4=100 6+4=106 ");
  CHECK(text(shared_pages(std::vector{&parent, &first, &second})) == "0+10=100 ");
  CHECK(shared_pages(std::vector{&parent}).empty());
  CHECK(shared_pages(std::vector{&parent, &second, &second}).size() == 1);
  // Where the parent has gone its own way, what the children have.
  const PageRuns changed = {run(0, 10, 700)};
  CHECK(text(shared_pages(std::vector{&changed, &first, &second})) == "2+2=102 6+1=106 ");
  // Other places than most.
  const PageRuns other = {run(0, 10, 700)};
  CHECK(text(shared_pages(std::vector{&parent, &parent, &parent, &other, &other})) ==
        "0+10=100 20+5=300 ");
}

TEST_CASE("a family is staged in its parent") {
  const PageRuns parent = {run(0, 10, 100)};
  const PageRuns child = {run(0, 5, 100), run(5, 1, 200), run(6, 4, 106)};
  image::AddressSpaceImage space;
  space.vmas = {vma(0, 16)};
  image::AddressSpaceImage shorter;
  shorter.vmas = {vma(0, 12)};
  const StagingPlan plan =
      plan_staging({{&shorter, &parent, {1, 2}}, {&space, &child, {}}, {&space, &parent, {}}});
  REQUIRE(plan.areas.size() == 1);
  CHECK((plan.areas[0] == range(0, 16)));
  CHECK(text(plan.reads[0]) == "0+10=100 ");
  CHECK(plan.reads[1].empty());
  CHECK(text(*plan.present[1]) == "0+10=100 ");
  CHECK(plan.areas[0].fits(vma(3, 4)));
  CHECK_FALSE(plan.areas[0].fits(vma(3, 14)));
  pb::Vma advised = vma(0, 16);
  advised.set_huge_page(true);
  CHECK_FALSE(plan.areas[0].fits(advised));
}

TEST_CASE("grandchildren share through a child, and among themselves") {
  const PageRuns root = {run(0, 10, 100)};
  const PageRuns child = {run(0, 5, 100), run(5, 5, 205)};
  const PageRuns grandchild = {run(0, 5, 100), run(5, 5, 205), run(12, 2, 300)};
  const PageRuns other = {run(0, 5, 900), run(12, 2, 300)};
  image::AddressSpaceImage space;
  space.vmas = {vma(0, 16)};
  // 0 forks 1, 1 forks 2 and 3; 4 is a placeholder that forks 5 and 6.
  const StagingPlan plan = plan_staging({{&space, &root, {1, 4}},
                                         {&space, &child, {2, 3}},
                                         {&space, &grandchild, {}},
                                         {&space, &other, {}},
                                         {nullptr, nullptr, {5, 6}},
                                         {&space, &other, {}},
                                         {&space, &other, {}}});
  CHECK(text(plan.reads[0]) == "0+5=100 12+2=300 ");
  CHECK(text(plan.reads[1]) == "5+5=205 ");
  CHECK(text(*plan.present[1]) == "0+5=100 5+5=205 12+2=300 ");
  CHECK(text(*plan.present[2]) == text(*plan.present[1]));
  CHECK(text(plan.reads[4]) == "0+5=900 ");
  CHECK(text(*plan.present[5]) == "0+5=900 12+2=300 ");
}

TEST_CASE("what can't be inherited is not staged") {
  const PageRuns runs = {run(0, 10, 100)};
  image::AddressSpaceImage space;
  space.vmas = {vma(0, 16)};
  SECTION("a stack") { space.vmas[0].set_grows_down(true); }
  SECTION("shared memory") { space.vmas[0].set_shared(true); }
  SECTION("huge pages of hugetlbfs") { space.vmas[0].set_hugetlb_page_size_bytes(2 << 20); }
  SECTION("a copy of a memfd") { space.vmas[0].set_backing(pb::Vma::SHARED_MEMORY); }
  const StagingPlan plan = plan_staging({{&space, &runs, {1}}, {&space, &runs, {}}});
  CHECK(plan.areas.empty());
  CHECK(plan.reads[0].empty());
  CHECK(plan.present[1]->empty());
}

TEST_CASE("mappings of different files are not joined") {
  const PageRuns runs = {run(0, 10, 100)};
  image::AddressSpaceImage first;
  first.vmas = {vma(0, 16)};
  first.vmas[0].set_backing(pb::Vma::FILE);
  first.vmas[0].set_file_id(1);
  image::AddressSpaceImage second = first;
  second.vmas[0].set_file_id(2);
  const StagingPlan plan = plan_staging({{&first, &runs, {1}}, {&second, &runs, {}}});
  REQUIRE(plan.areas.size() == 1);
  CHECK(plan.areas[0].file_id == 1);
  CHECK_FALSE(plan.areas[0].fits(second.vmas[0]));
}

}  // namespace
}  // namespace cryostat::memory
