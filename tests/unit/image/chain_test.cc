// Chains: in-parent runs find their pages, wrong and missing ancestors are named, flattening and
// deduplication keep what the head needs.
#include "engine/image/chain.h"

#include <sys/stat.h>

#include <filesystem>

#include "engine/image/checkpoint_images.h"
#include "engine/image/dedup.h"
#include "engine/image/flatten.h"
#include "tests/support/catch.h"
#include "tests/unit/image/sample_checkpoint.h"

namespace cryostat::image {
namespace {

// A folder with checkpoints "0", "1", …, each built on the one before.
class SampleChain {
 public:
  SampleChain() { std::filesystem::create_directory(folder_.path()); }

  std::string path(int member) const { return folder_.path() + "/" + std::to_string(member); }
  std::string other(const char* name) const { return folder_.path() + "/" + name; }

  // One run for each place, from 0x11000 on: a page of its own, kZeroPage or kInParentPage.
  void add(const std::vector<uint64_t>& places) {
    auto parts = sample_parts();
    parts.pages = 0;
    auto& runs = parts.runs.front();
    runs.Clear();
    runs.set_owner_id(1);
    runs.set_parent_owner_id(count_ > 0 ? 1 : 0);
    for (size_t i = 0; i < places.size(); ++i) {
      runs.add_address(0x11000 + i * kPageSize);
      runs.add_page_count(1);
      const bool own = places[i] != kZeroPage && places[i] != kInParentPage;
      runs.add_page_index(own ? parts.pages++ : places[i]);
    }
    parts.manifest.set_checkpoint_id("id" + std::to_string(count_));
    if (count_ > 0) {
      parts.manifest.mutable_parent()->set_path("../" + std::to_string(count_ - 1));
      parts.manifest.mutable_parent()->set_checkpoint_id("id" + std::to_string(count_ - 1));
    }
    REQUIRE(write_sample(path(count_++), parts));
  }

 private:
  TempFolder folder_;
  int count_ = 0;
};

constexpr uint64_t kOwn = 0;

std::vector<std::pair<uint32_t, uint64_t>> places(const Chain& chain) {
  std::vector<std::pair<uint32_t, uint64_t>> found;
  for (const PageRun& run : chain.pagemap().runs(pb::PageRuns::ADDRESS_SPACE, 1))
    found.emplace_back(run.store, run.page_index);
  return found;
}

TEST_CASE("in-parent runs are followed up the chain") {
  SampleChain sample;
  sample.add({kOwn, kOwn, kOwn, kZeroPage});
  sample.add({kInParentPage, kOwn, kInParentPage, kInParentPage});
  sample.add({kInParentPage, kInParentPage, kOwn, kInParentPage});
  const auto chain = Chain::open(sample.path(2));
  REQUIRE(chain);
  CHECK(chain->store_count() == 3);
  const std::vector<std::pair<uint32_t, uint64_t>> expected = {
      {2, 0}, {1, 0}, {0, 0}, {0, kZeroPage}};
  CHECK(places(*chain) == expected);
  const auto images = load_images(*chain);
  REQUIRE(images);
  const StopRequest stop;
  CHECK(chain->verify_pages(2, stop));
}

TEST_CASE("a page the parent has no run for is in no run") {
  SampleChain sample;
  sample.add({kOwn});
  sample.add({kInParentPage, kInParentPage});
  const auto chain = Chain::open(sample.path(1));
  REQUIRE(chain);
  CHECK(places(*chain).size() == 1);
}

TEST_CASE("a chain without a member it needs is refused") {
  SampleChain sample;
  sample.add({kOwn, kOwn});
  sample.add({kInParentPage, kOwn});
  sample.add({kOwn, kInParentPage});
  // The head needs nothing of the first one.
  std::filesystem::remove_all(sample.path(0));
  CHECK(Chain::open(sample.path(2)));
  const auto broken = Chain::open(sample.path(1));
  REQUIRE_FALSE(broken);
  CHECK(broken.error().kind() == ErrorKind::kImages);
  CHECK(mentions(broken.error().message(), "builds on ../0"));
}

TEST_CASE("another checkpoint in the parent's place is not the parent") {
  SampleChain sample;
  sample.add({kOwn});
  sample.add({kInParentPage});
  std::filesystem::remove_all(sample.path(0));
  REQUIRE(write_sample(sample.path(0), sample_parts()));
  const auto wrong = Chain::open(sample.path(1));
  REQUIRE_FALSE(wrong);
  CHECK(wrong.error().kind() == ErrorKind::kImages);
  CHECK(mentions(wrong.error().message(), "builds on checkpoint id0"));
}

TEST_CASE("a checkpoint that is its own ancestor is refused") {
  SampleChain sample;
  sample.add({kOwn});
  sample.add({kInParentPage});
  std::filesystem::remove_all(sample.path(0));
  std::filesystem::create_directory_symlink(sample.path(1), sample.path(0));
  CHECK_FALSE(Chain::open(sample.path(1)));
}

TEST_CASE("runs of a parent without a parent are refused") {
  const TempFolder folder;
  auto parts = sample_parts();
  parts.runs.front().set_page_index(0, kInParentPage);
  REQUIRE(write_sample(folder.path(), parts));
  CHECK_FALSE(Chain::open(folder.path()));
}

TEST_CASE("deduplication frees what the head does not need, and that is noticed") {
  SampleChain sample;
  sample.add({kOwn, kOwn, kOwn});
  sample.add({kInParentPage, kOwn, kOwn});
  const StopRequest stop;
  {
    const auto chain = Chain::open(sample.path(1));
    REQUIRE(chain);
    const auto plan = plan_dedup(*chain);
    REQUIRE(plan.size() == 1);
    CHECK(plan[0].pages_used == 1);
    CHECK(plan[0].pages_to_free == 2);
    REQUIRE(dedup(*chain, plan, stop));
  }
  const auto chain = Chain::open(sample.path(1));
  REQUIRE(chain);
  CHECK(chain->verify_pages(1, stop));
  CHECK(plan_dedup(*chain)[0].pages_to_free == 0);
  const auto freed = Chain::open(sample.path(0));
  REQUIRE_FALSE(freed);
  CHECK(mentions(freed.error().message(), "freed by cr-dedup"));
}

TEST_CASE("a flattened chain needs nobody") {
  SampleChain sample;
  sample.add({kOwn, kOwn, kZeroPage});
  sample.add({kInParentPage, kOwn, kInParentPage});
  const std::string flat = sample.other("flat");
  const StopRequest stop;
  {
    auto chain = Chain::open(sample.path(1));
    REQUIRE(chain);
    REQUIRE(flatten(*chain, flat, stop));
    const auto again = flatten(*chain, flat, stop);
    REQUIRE_FALSE(again);
    CHECK(again.error().kind() == ErrorKind::kUsage);
  }
  std::filesystem::remove_all(sample.path(0));
  std::filesystem::remove_all(sample.path(1));
  const auto chain = Chain::open(flat);
  REQUIRE(chain);
  CHECK(chain->store_count() == 1);
  CHECK(chain->head().page_count() == 2);
  CHECK_FALSE(chain->head().manifest().has_parent());
  CHECK(load_images(*chain));
  CHECK(chain->verify_pages(1, stop));
  CHECK(places(*chain).size() == 3);
}

}  // namespace
}  // namespace cryostat::image
