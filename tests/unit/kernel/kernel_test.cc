#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cstring>

#include "engine/kernel/capabilities.h"
#include "engine/kernel/constants.h"
#include "engine/kernel/kcmp.h"
#include "engine/kernel/pagemap_scan.h"
#include "engine/kernel/pidfd.h"
#include "engine/kernel/probes.h"
#include "engine/kernel/process_memory.h"
#include "engine/kernel/scheduling.h"
#include "tests/support/catch.h"

using namespace cryostat;

TEST_CASE("probes: known names, and one by one the same answer") {
  const auto features = kernel::probe_all();
  CHECK(features.size() > 20);
  for (const auto& feature : features) {
    CHECK_FALSE(feature.needed_for.empty());
    CHECK(kernel::probe(feature.name).available == feature.available);
    if (!feature.available) CHECK_FALSE(feature.detail.empty());
  }
  CHECK_FALSE(kernel::probe("nonsense").available);
  CHECK(kernel::probe("process_vm_readv").available);
}

TEST_CASE("process memory: many stretches, more than one call takes, and a hole") {
  constexpr size_t kCount = 3000;
  std::vector<uint32_t> from(kCount);
  for (size_t i = 0; i < kCount; ++i) from[i] = static_cast<uint32_t>(i * 7);
  std::vector<uint32_t> to(kCount);
  std::vector<kernel::ReadPart> parts;
  for (size_t i = 0; i < kCount; ++i) {
    parts.push_back({RemoteAddr(reinterpret_cast<uint64_t>(&from[i])),
                     std::as_writable_bytes(std::span(&to[i], 1))});
  }
  const HostPid self(getpid());
  REQUIRE(kernel::read_memory(self, parts));
  CHECK(from == to);
  REQUIRE(
      kernel::write_object(self, uint32_t{99}, RemoteAddr(reinterpret_cast<uint64_t>(&from[1]))));
  CHECK(from[1] == 99);
  CHECK(*kernel::read_object<uint32_t>(self, RemoteAddr(reinterpret_cast<uint64_t>(&from[1]))) ==
        99);

  auto* pages = static_cast<std::byte*>(
      mmap(nullptr, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
  mprotect(pages + 4096, 4096, PROT_NONE);
  std::array<std::byte, 8192> buffer;
  const auto hole =
      kernel::read_memory(self, RemoteAddr(reinterpret_cast<uint64_t>(pages)), buffer);
  REQUIRE_FALSE(hole);
  CHECK(hole.error().errno_value() == EFAULT);
  munmap(pages, 8192);
}

TEST_CASE("scan_pages: finds what was touched") {
  if (!kernel::probe("PAGEMAP_SCAN").available) return;
  constexpr size_t kPages = 8;
  auto* area = static_cast<char*>(
      mmap(nullptr, kPages * 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
  madvise(area, kPages * 4096, MADV_NOHUGEPAGE);
  area[0] = 1;
  area[4096] = 1;
  area[5 * 4096] = 1;
  const int fd = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
  std::array<kernel::PageRegion, 8> regions;
  kernel::PageQuery query;
  query.start = RemoteAddr(reinterpret_cast<uint64_t>(area));
  query.end = query.start + kPages * 4096;
  query.any_of = kernel::kPageIsPresent | kernel::kPageIsSwapped;
  const auto answer = kernel::scan_pages(fd, query, regions);
  REQUIRE(answer);
  REQUIRE(answer->region_count == 2);
  CHECK(regions[0].start == query.start.value);
  CHECK(regions[0].end == query.start.value + 2 * 4096);
  CHECK(regions[1].start == query.start.value + 5 * 4096);
  CHECK(answer->walk_end == query.end);
  close(fd);
  munmap(area, kPages * 4096);
}

TEST_CASE("kcmp, pidfd, scheduling, capabilities") {
  const Tid self(getpid());
  const int copy = dup(2);
  CHECK(*kernel::kcmp(self, self, kernel::KcmpType::kFile, 2, copy) == kernel::KcmpOrder::kEqual);
  CHECK(kernel::kcmp(self, self, kernel::KcmpType::kFile, 2, 900).error().errno_value() == EBADF);
  close(copy);

  const pid_t child = fork();
  if (child == 0) {
    for (;;) pause();
  }
  const auto pidfd = kernel::pidfd_open(HostPid(child));
  REQUIRE(pidfd);
  CHECK(kernel::pidfd_send_signal(pidfd->get(), 0));
  CHECK(kernel::pidfd_getfd(pidfd->get(), RemoteFd(0)));
  auto attributes = kernel::sched_getattr(Tid(child));
  REQUIRE(attributes);
  attributes->nice = 7;
  CHECK(kernel::sched_setattr(Tid(child), *attributes));
  CHECK(kernel::sched_getattr(Tid(child))->nice == 7);
  CHECK(kernel::ioprio_set(Tid(child), 2 << 13 | 3));
  CHECK(*kernel::ioprio_get(Tid(child)) == (2 << 13 | 3));
  kill(child, SIGKILL);
  waitpid(child, nullptr, 0);
  CHECK(kernel::pidfd_send_signal(pidfd->get(), 0).error().kind() == ErrorKind::kTargetGone);

  CHECK(kernel::capability_name(21) == "CAP_SYS_ADMIN");
  CHECK(kernel::capability_name(77) == "capability 77");
  const auto privileges = kernel::this_privileges();
  REQUIRE(privileges);
  if (geteuid() != 0) CHECK_FALSE(privileges->sys_admin);
}
