// Images with right checksums and wrong content: every contradiction is an error, none is believed.
#include <fcntl.h>

#include <chrono>
#include <functional>

#include "engine/image/chain.h"
#include "engine/image/checkpoint_images.h"
#include "tests/support/catch.h"
#include "tests/unit/image/sample_checkpoint.h"

namespace cryostat::image {
namespace {

Result<void> load(const std::string& directory) {
  const auto chain = TRY(Chain::open(directory));
  TRY(load_images(chain));
  return {};
}

void expect_refused(const char* what, const std::function<void(SampleParts&)>& change) {
  const TempFolder folder;
  auto parts = sample_parts();
  change(parts);
  REQUIRE(write_sample(folder.path(), parts));
  const auto result = load(folder.path());
  INFO(what);
  REQUIRE_FALSE(result);
  INFO(result.error().message());
  CHECK(result.error().kind() == ErrorKind::kImages);
}

TEST_CASE("the unchanged sample is fine") {
  const TempFolder folder;
  REQUIRE(write_sample(folder.path(), sample_parts()));
  REQUIRE(load(folder.path()));
}

TEST_CASE("hostile tasks") {
  expect_refused("pid 0", [](auto& p) { p.task.set_pid(0); });
  expect_refused("negative tid", [](auto& p) { p.thread.set_tid(-1); });
  expect_refused("thread missing", [](auto& p) { p.task.set_thread_count(2); });
  expect_refused("huge thread count", [](auto& p) { p.task.set_thread_count(0xffffffff); });
  expect_refused("leader is another", [](auto& p) { p.thread.set_tid(43); });
  expect_refused("registers cut",
                 [](auto& p) { p.thread.mutable_registers()->set_general("abc"); });
  expect_refused("xstate cut", [](auto& p) { p.thread.mutable_registers()->set_xstate("abc"); });
  expect_refused("siginfo cut", [](auto& p) { p.task.add_pending()->set_siginfo("abc"); });
  expect_refused("signal 65", [](auto& p) { p.task.add_actions()->set_number(65); });
  expect_refused("no address space", [](auto& p) { p.task.set_address_space_id(2); });
  expect_refused("no descriptor table", [](auto& p) { p.task.set_descriptor_table_id(2); });
  expect_refused("limit 16", [](auto& p) { p.task.add_limits()->set_resource(16); });
  expect_refused("soft limit above the hard one",
                 [](auto& p) { p.task.add_limits()->set_soft(1); });
  expect_refused("other pid in the manifest", [](auto& p) { p.manifest.set_pids(0, 7); });
}

TEST_CASE("hostile memory") {
  expect_refused("unaligned", [](auto& p) { p.vmas[0].set_start(0x10001); });
  expect_refused("empty", [](auto& p) { p.vmas[0].set_end(p.vmas[0].start()); });
  expect_refused("kernel address", [](auto& p) { p.vmas[0].set_end(0xffffffffff600000); });
  expect_refused("no such file", [](auto& p) {
    p.vmas[0].set_backing(pb::Vma::FILE);
    p.vmas[0].set_file_id(1);
  });
  expect_refused("no such object", [](auto& p) {
    p.vmas[0].set_backing(pb::Vma::SHARED_MEMORY);
    p.vmas[0].set_shared_memory_id(3);
  });
  expect_refused("overlap", [](auto& p) {
    p.vmas.push_back(p.vmas[0]);
    p.space.set_vma_count(2);
  });
  expect_refused("address space 0", [](auto& p) { p.space.set_id(0); });
  expect_refused("mapping count", [](auto& p) { p.space.set_vma_count(2); });
  expect_refused("guard pages outside", [](auto& p) {
    p.vmas[0].add_guard_pages(0x1000);
    p.vmas[0].add_guard_pages(0x2000);
  });
}

TEST_CASE("many address spaces and descriptor tables take time in proportion") {
  const TempFolder folder;
  auto parts = sample_parts();
  parts.empty_spaces = 120'000;
  REQUIRE(write_sample(folder.path(), parts));
  const auto start = std::chrono::steady_clock::now();
  REQUIRE(load(folder.path()));
  // Well below a second; comparing each with all before takes minutes.
  CHECK(std::chrono::steady_clock::now() - start < std::chrono::seconds(20));
}

TEST_CASE("hostile page runs") {
  expect_refused("past the file", [](auto& p) { p.runs[0].set_page_index(0, 1); });
  expect_refused("index overflow", [](auto& p) { p.runs[0].set_page_index(0, ~uint64_t{0} - 1); });
  expect_refused("unaligned", [](auto& p) { p.runs[0].set_address(0, 0x11001); });
  expect_refused("outside of mappings", [](auto& p) { p.runs[0].set_address(0, 0x16000); });
  expect_refused("unequal arrays", [](auto& p) { p.runs[0].add_address(0x15000); });
  expect_refused("overlap", [](auto& p) { p.runs.push_back(p.runs[0]); });
  expect_refused("no such owner", [](auto& p) { p.runs[0].set_owner_id(9); });
  expect_refused("no such object",
                 [](auto& p) { p.runs[0].set_owner(pb::PageRuns::SHARED_MEMORY); });
}

TEST_CASE("hostile descriptors") {
  expect_refused("no such description",
                 [](auto& p) { p.table.mutable_entries(0)->set_description_id(2); });
  expect_refused("table 0", [](auto& p) { p.table.set_id(0); });
  expect_refused("negative number", [](auto& p) { p.table.mutable_entries(0)->set_fd(-1); });
  expect_refused("huge number", [](auto& p) { p.table.mutable_entries(0)->set_fd(0x7fffffff); });
  expect_refused("number twice", [](auto& p) { *p.table.add_entries() = p.table.entries(0); });
  expect_refused("no kind", [](auto& p) { p.descriptions[0].clear_kind(); });
  for (const int flag : {O_CREAT, O_EXCL, O_TRUNC, O_NOCTTY})
    expect_refused("an open that changes the file",
                   [flag](auto& p) { p.descriptions[0].set_flags(static_cast<uint32_t>(flag)); });
  expect_refused("no ghost", [](auto& p) { p.descriptions[0].mutable_regular()->set_ghost_id(1); });
  expect_refused("no memfd",
                 [](auto& p) { p.descriptions[0].mutable_mem_fd()->set_shared_memory_id(1); });
  expect_refused("watch on nothing",
                 [](auto& p) { p.descriptions[0].mutable_epoll()->add_watches()->set_fd(3); });
}

}  // namespace
}  // namespace cryostat::image
