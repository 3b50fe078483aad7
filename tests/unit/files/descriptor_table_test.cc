// Which numbers share an open description.
#include "engine/files/descriptor_table.h"

#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/resource.h>

#include <array>

#include "tests/unit/files/roundtrip.h"

namespace cryostat::files {
namespace {

// Eventfds have a number of their own, epoll instances only kcmp(2) tells apart.
TEST_CASE("sharing is found among many descriptors of one inode") {
  const bool epolls = GENERATE(false, true);
  const Subject subject([epolls] {
    for (int fd = 3; fd < 203; ++fd) (void)(epolls ? epoll_create1(0) : eventfd(0, 0));
    for (int fd = 203; fd < 403; ++fd) dup2(3 + (fd * 7) % 200, fd);
  });
  const auto task = subject.handle();
  const std::array skipped = {RemoteFd(0), RemoteFd(10)};
  const TaskHandle* const tasks[] = {&task};
  const auto table = read_descriptor_tables(tasks, skipped);
  REQUIRE(table.has_value());
  size_t numbers = 0;
  for (const auto& description : *table) {
    numbers += description.slots.size();
    if (description.fd().value < 3) continue;
    for (const auto& slot : description.slots) {
      const int target = slot.fd.value < 203 ? slot.fd.value : 3 + (slot.fd.value * 7) % 200;
      CHECK(target == (description.fd().value < 203 ? description.fd().value : 10));
    }
  }
  CHECK(numbers == 401);
  CHECK(table->size() == 202);  // 0 is left out; the duplicates of 10 are still there
}

TEST_CASE("a thousand descriptors are collected") {
  struct rlimit limit;
  getrlimit(RLIMIT_NOFILE, &limit);
  if (limit.rlim_max < 1100) return;
  limit.rlim_cur = limit.rlim_max;
  setrlimit(RLIMIT_NOFILE, &limit);
  const TempFolder folder;
  const Subject subject([&] {
    for (int i = 0; i < 500; ++i) eventfd(0, 0);
    for (int i = 0; i < 500; ++i)
      open((folder / std::to_string(i)).c_str(), O_CREAT | O_RDWR, 0600);
  });
  const auto task = subject.handle();
  Refusals refusals;
  memory::SharedMemoryTable shared_memory;
  const TaskHandle* const tasks[] = {&task};
  const auto files = collect_descriptors(tasks, {}, shared_memory, refusals);
  REQUIRE(files.has_value());
  CHECK(files->description_count() == 1003);
}

}  // namespace
}  // namespace cryostat::files
