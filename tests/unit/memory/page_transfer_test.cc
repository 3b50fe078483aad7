#include "engine/memory/page_transfer.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cstring>
#include <vector>

#include "engine/base/ids.h"
#include "engine/image/format.h"
#include "engine/image/page_store_writer.h"
#include "engine/procfs/task_handle.h"
#include "parasite/transfer.h"
#include "proto/wire/parasite_transfer.h"
#include "tests/support/catch.h"
#include "tests/unit/memory/stopped_child.h"

// The parasite's half, hosted.
#include "parasite/transfer.cc"  // NOLINT

namespace cryostat::memory {
namespace {

image::PageStoreWriter make_store() {
  return image::PageStoreWriter(UniqueFd(memfd_create("pages", MFD_CLOEXEC)),
                                UniqueFd(memfd_create("sums", MFD_CLOEXEC)), "memory");
}

char* map_pages(size_t pages, int protection = PROT_READ | PROT_WRITE) {
  void* const at = mmap(nullptr, pages * kPageSize, protection, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  REQUIRE(at != MAP_FAILED);
  return static_cast<char*>(at);
}

// Page n is filled with bytes n+1, every seventh is zero.
void write_pattern(char* area, size_t pages) {
  for (size_t page = 0; page < pages; ++page)
    std::memset(area + page * kPageSize, page % 7 == 3 ? 0 : static_cast<int>(page % 250 + 1),
                kPageSize);
}

void check_store(const image::PageStoreWriter& store, const char* area, size_t pages,
                 const std::vector<StoredRun>& stored) {
  uint64_t next = reinterpret_cast<uint64_t>(area);
  std::vector<char> expected(kPageSize);
  std::vector<char> page(kPageSize);
  for (const StoredRun& run : stored) {
    CHECK(run.address == next);
    next += run.page_count * kPageSize;
    for (uint32_t i = 0; i < run.page_count; ++i) {
      const size_t number = (run.address - reinterpret_cast<uint64_t>(area)) / kPageSize + i;
      CHECK((number % 7 == 3) == (run.page_index == image::kZeroPage));
      if (run.page_index == image::kZeroPage) continue;
      std::memset(expected.data(), static_cast<int>(number % 250 + 1), kPageSize);
      REQUIRE(pread(store.pages_fd(), page.data(), kPageSize,
                    static_cast<off_t>((run.page_index + i) * kPageSize)) ==
              static_cast<ssize_t>(kPageSize));
      CHECK(page == expected);
    }
  }
  CHECK(next == reinterpret_cast<uint64_t>(area) + pages * kPageSize);
}

TEST_CASE("vm-readv stores pages and leaves zero ones out") {
  constexpr size_t kPages = 300;
  char* const area = map_pages(kPages);
  const StoppedChild child([area] { write_pattern(area, kPages); });
  auto store = make_store();
  auto transfer = make_vm_readv_transfer(child.pid(), store);
  REQUIRE(transfer.has_value());
  const std::vector<PageRun> runs = {{reinterpret_cast<uint64_t>(area), 100},
                                     {reinterpret_cast<uint64_t>(area) + 100 * kPageSize, 200}};
  std::vector<StoredRun> stored;
  REQUIRE((*transfer)->move(runs, stored).has_value());
  check_store(store, area, kPages, stored);
  CHECK(store.next_index() == kPages - 43);
  munmap(area, kPages * kPageSize);
}

TEST_CASE("forced transfer reads what the target itself may not") {
  char* const area = map_pages(10);
  const StoppedChild child([area] {
    write_pattern(area, 10);
    mprotect(area, 10 * kPageSize, PROT_NONE);
  });
  const auto task = TaskHandle::open(child.pid());
  REQUIRE(task.has_value());
  auto store = make_store();
  auto transfer = make_forced_transfer(*task, store);
  REQUIRE(transfer.has_value());
  const std::vector<PageRun> runs = {{reinterpret_cast<uint64_t>(area), 10}};
  std::vector<StoredRun> stored;
  REQUIRE((*transfer)->move(runs, stored).has_value());
  check_store(store, area, 10, stored);
  auto plain = make_vm_readv_transfer(child.pid(), store);
  CHECK_FALSE((*plain)->move(runs, stored).has_value());
  munmap(area, 10 * kPageSize);
}

struct Request {
  std::vector<uint64_t> data = std::vector<uint64_t>(wire::kTransferMaxDataBytes / 8 + 1);
  wire::TransferRequest& head() { return *reinterpret_cast<wire::TransferRequest*>(data.data()); }
  wire::TransferRun* runs() { return reinterpret_cast<wire::TransferRun*>(&head() + 1); }
  const char* bytes() const { return reinterpret_cast<const char*>(data.data()); }
  int run() { return parasite::write_pages(data.data(), wire::kTransferMaxDataBytes); }
};

TEST_CASE("the parasite writes pages and marks zero ones") {
  constexpr uint32_t kPages = 200;
  char* const area = map_pages(kPages);
  write_pattern(area, kPages);
  const UniqueFd fd(memfd_create("pages", MFD_CLOEXEC));
  Request request;
  request.head() = {
      .fd = fd.get(), .run_count = 2, .page_count = kPages, .file_offset_bytes = kPageSize};
  request.runs()[0] = {reinterpret_cast<uint64_t>(area), 50};
  request.runs()[1] = {reinterpret_cast<uint64_t>(area) + 50 * kPageSize, 150};
  REQUIRE(request.run() == 0);
  const auto* bitmap =
      reinterpret_cast<const uint64_t*>(request.bytes() + wire::transfer_zero_bitmap_offset(2));
  std::vector<char> page(kPageSize);
  uint32_t written = 0;
  for (uint32_t i = 0; i < kPages; ++i) {
    const bool zero = (bitmap[i / 64] >> (i % 64) & 1) != 0;
    CHECK(zero == (i % 7 == 3));
    if (zero) continue;
    REQUIRE(
        pread(fd.get(), page.data(), kPageSize, static_cast<off_t>((1 + written) * kPageSize)) ==
        static_cast<ssize_t>(kPageSize));
    CHECK(std::memcmp(page.data(), area + i * kPageSize, kPageSize) == 0);
    ++written;
  }
  CHECK(request.head().pages_written == written);
  munmap(area, kPages * kPageSize);
}

TEST_CASE("the parasite refuses requests that do not add up") {
  Request request;
  request.head() = {.fd = -1, .run_count = 1, .page_count = 2};
  request.runs()[0] = {0x1000, 1};
  CHECK(request.run() == -EINVAL);
  request.head() = {.fd = -1, .run_count = wire::kTransferMaxRuns + 1, .page_count = 0};
  CHECK(request.run() == -EINVAL);
  request.head() = {.fd = -1, .run_count = 1, .page_count = 1};
  request.runs()[0] = {0x1001, 1};
  CHECK(request.run() == -EINVAL);
}

}  // namespace
}  // namespace cryostat::memory
