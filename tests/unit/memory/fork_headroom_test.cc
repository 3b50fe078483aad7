#include "engine/memory/fork_headroom.h"

#include <sys/mman.h>

#include <csignal>
#include <cstring>

#include "engine/procfs/task_handle.h"
#include "tests/support/catch.h"
#include "tests/support/child.h"

using namespace cryostat;
using namespace cryostat::memory;

namespace {
constexpr uint64_t kMiB = 1 << 20;
}

TEST_CASE("a fork fits when an eighth is left over") {
  const ForkNeed need{.private_bytes = 80 * kMiB, .accounted_bytes = 160 * kMiB};
  CHECK(why_fork_does_not_fit(need, {}).empty());
  CHECK(why_fork_does_not_fit(need, {.available_bytes = 90 * kMiB}).empty());
  CHECK(why_fork_does_not_fit(need, {.available_bytes = 89 * kMiB}).find("machine") !=
        std::string::npos);
  CHECK(why_fork_does_not_fit(need, {.cgroup_bytes = 89 * kMiB}).find("control group") !=
        std::string::npos);
  CHECK(why_fork_does_not_fit(need, {.commit_bytes = 180 * kMiB}).empty());
  CHECK(why_fork_does_not_fit(need, {.commit_bytes = 179 * kMiB}).find("overcommit") !=
        std::string::npos);
}

TEST_CASE("a control group's file pages make room") {
  CHECK(cgroup_headroom(100 * kMiB, 90 * kMiB, 0) == 10 * kMiB);
  CHECK(cgroup_headroom(100 * kMiB, 90 * kMiB, 60 * kMiB) == 70 * kMiB);
  CHECK(cgroup_headroom(100 * kMiB, 120 * kMiB, 0) == 0);
  CHECK(cgroup_headroom(100 * kMiB, 10 * kMiB, 20 * kMiB) == 100 * kMiB);
  CHECK(cgroup_headroom(0x7ffffffffffff000, 90 * kMiB, 0) == kNoLimit);
}

TEST_CASE("need and headroom of this process") {
  constexpr size_t kBytes = 32 * kMiB;
  void* memory = mmap(nullptr, kBytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  REQUIRE(memory != MAP_FAILED);
  std::memset(memory, 1, kBytes);
  const auto self = TaskHandle::open(HostPid(getpid()));
  REQUIRE(self);
  const auto need = read_fork_need(*self);
  REQUIRE(need);
  CHECK(need->private_bytes >= kBytes / 2);  // the kernel's counters lag
  CHECK(need->accounted_bytes >= kBytes);
  const auto headroom = read_fork_headroom(*self);
  REQUIRE(headroom);
  CHECK(headroom->available_bytes > 0);
  CHECK(headroom->available_bytes != kNoLimit);
  munmap(memory, kBytes);
}
