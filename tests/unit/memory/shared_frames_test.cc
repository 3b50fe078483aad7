// Pages shared copy-on-write: which ones are found, and where they are looked up.
#include "engine/memory/shared_frames.h"

#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstring>

#include "engine/image/format.h"
#include "engine/memory/address_space.h"
#include "engine/memory/frame_index.h"
#include "engine/procfs/task_handle.h"
#include "tests/support/catch.h"

namespace cryostat::memory {
namespace {

constexpr uint64_t kPages = 64;

TEST_CASE("a frame is where it was seen first") {
  FrameIndex index(10000);
  for (uint32_t i = 0; i < 20000; ++i) {
    const PagePlace place{i % 3, uint64_t{i} * kPageSize};
    CHECK((index.first(i + 1, place) == place));
  }
  for (uint32_t i = 0; i < 20000; ++i) {
    const PagePlace place{i % 3, uint64_t{i} * kPageSize};
    const PagePlace other{7, 0x7000};
    CHECK((index.first(i + 1, other) == (i < 10000 ? place : other)));
    CHECK(index.is_at(i + 1, place) == (i < 10000));
  }
  CHECK_FALSE(index.is_at(0, {}));
}

// A child that stands still, with the memory of this process but for what `change` does to it.
class Child {
 public:
  template <typename Change>
  explicit Child(Change change) {
    int ready[2];
    REQUIRE(pipe(ready) == 0);
    pid_ = fork();
    if (pid_ == 0) {
      change();
      (void)!write(ready[1], "r", 1);
      for (;;) pause();
    }
    char byte;
    REQUIRE(read(ready[0], &byte, 1) == 1);
    close(ready[0]);
    close(ready[1]);
  }
  Child(const Child&) = delete;
  Child& operator=(const Child&) = delete;
  ~Child() {
    kill(pid_, SIGKILL);
    waitpid(pid_, nullptr, 0);
  }
  TaskHandle handle() const { return TaskHandle::open(HostPid(pid_)).value(); }

 private:
  pid_t pid_;
};

AddressSpaceState space_of(uint64_t start, uint64_t pages) {
  AddressSpaceState state;
  pb::Vma vma;
  vma.set_start(start);
  vma.set_end(start + pages * kPageSize);
  state.vmas.push_back(vma);
  state.private_bytes.push_back(pages * kPageSize);
  state.write_protected.push_back(false);
  return state;
}

TEST_CASE("what children inherit is found once") {
  void* const memory =
      mmap(nullptr, kPages * kPageSize, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  REQUIRE(memory != MAP_FAILED);
  madvise(memory, kPages * kPageSize, MADV_NOHUGEPAGE);
  auto* const bytes = static_cast<unsigned char*>(memory);
  for (uint64_t i = 0; i < kPages; ++i) bytes[i * kPageSize] = static_cast<unsigned char>(i + 1);
  const auto start = reinterpret_cast<uint64_t>(memory);
  const Child heir([] {});
  const Child writer([bytes] { bytes[10 * kPageSize] = 0; });
  const AddressSpaceState state = space_of(start, kPages);

  SharedFrames frames;
  REQUIRE(frames.add(heir.handle(), state).has_value());
  REQUIRE(frames.add(writer.handle(), state).has_value());
  REQUIRE(frames.settle().has_value());
  CHECK(frames.shared(0).empty());
  if (frames.hidden_pages() > 0) {
    CHECK(frames.shared(1).empty());
    return;  // this process may not see frame numbers
  }
  REQUIRE(frames.shared(1).size() == 2);
  CHECK((frames.shared(1)[0] == SharedRun{start, 10, {0, start}}));
  const uint64_t after = start + 11 * kPageSize;
  CHECK((frames.shared(1)[1] == SharedRun{after, kPages - 11, {0, after}}));

  SECTION("places are those of the owner") {
    frames.remember(0, {start, 100, 5}, 0);
    frames.remember(0, {start + 5 * kPageSize, image::kZeroPage, 5}, 0);
    frames.remember(0, {after, 200, 20}, 0);
    const uint64_t end = start + kPages * kPageSize;
    auto answer = frames.find(1, start + 2 * kPageSize, end);
    CHECK(answer.known);
    CHECK(answer.page_index == 102);
    CHECK(answer.page_count == 3);
    answer = frames.find(1, start + 6 * kPageSize, end);
    CHECK(answer.known);
    CHECK(answer.page_index == image::kZeroPage);
    CHECK(answer.page_count == 4);
    answer = frames.find(1, start + 10 * kPageSize, end);
    CHECK_FALSE(answer.known);
    CHECK(answer.page_count == 1);
    answer = frames.find(1, after + 18 * kPageSize, after + 19 * kPageSize);
    CHECK(answer.known);
    CHECK(answer.page_index == 218);
    CHECK(answer.page_count == 1);
    // The owner did not store these.
    answer = frames.find(1, after + 20 * kPageSize, end);
    CHECK_FALSE(answer.known);
    CHECK(answer.page_count == kPages - 31);
  }
  munmap(memory, kPages * kPageSize);
}

}  // namespace
}  // namespace cryostat::memory
