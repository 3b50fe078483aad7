// NUMA policies of threads and of memory (set_mempolicy(2), mbind(2)). One node is enough to have
// them.
#include <linux/mempolicy.h>
#include <sys/mman.h>
#include <sys/syscall.h>

#include <atomic>
#include <thread>

#include "tests/victims/victim.h"

namespace {

constexpr size_t kPage = 4096;
constexpr unsigned long kNodes = 1024;

struct Policy {
  int mode;
  bool first_node;  // names node 0, and no other
};

Policy policy_of(const void* address) {
  int mode = -1;
  unsigned long nodes[kNodes / 64] = {};
  if (syscall(SYS_get_mempolicy, &mode, nodes, kNodes, address,
              address == nullptr ? 0 : MPOL_F_ADDR) != 0)
    return {-1, false};
  return {mode, nodes[0] == 1};
}

void expect(victim::Victim& self, const char* what, const void* address, Policy wanted) {
  const Policy found = policy_of(address);
  self.expect(found.mode == wanted.mode && found.first_node == wanted.first_node,
              "%s: policy %#x %s node 0", what, found.mode, found.first_node ? "with" : "without");
}

bool set_thread(int mode) {
  const unsigned long nodes = mode == MPOL_DEFAULT || mode == MPOL_LOCAL ? 0 : 1;
  return syscall(SYS_set_mempolicy, mode, &nodes, 64) == 0;
}

bool set_area(char* area, size_t pages, int mode) {
  const unsigned long nodes = 1;
  return syscall(SYS_mbind, area, pages * kPage, mode, &nodes, 64, 0) == 0;
}

}  // namespace

int main(int argc, char** argv) {
  victim::Victim self(argc, argv);
  if (policy_of(nullptr).mode < 0) self.skip(std::string("NUMA policies: ") + strerror(errno));
  const auto map = [&](int flags, int fd) {
    void* area = mmap(nullptr, 8 * kPage, PROT_READ | PROT_WRITE, flags, fd, 0);
    self.must(area != MAP_FAILED, "mmap");
    return static_cast<char*>(area);
  };
  char* own = map(MAP_PRIVATE | MAP_ANONYMOUS, -1);
  memset(own, 7, 3 * kPage);
  const int memory = memfd_create("numa", MFD_CLOEXEC);
  self.must(memory >= 0 && ftruncate(memory, 8 * kPage) == 0, "memfd");
  char* shared = map(MAP_SHARED, memory);
  // In the middle: the area falls into three.
  self.must(set_area(own + 2 * kPage, 3, MPOL_BIND), "mbind");
  self.must(set_area(shared, 4, MPOL_PREFERRED | MPOL_F_STATIC_NODES), "mbind of shared memory");

  std::atomic<int> running = 0;  // threads that stand still where they will be seen
  std::atomic<bool> go = false;
  std::thread other([&] {
    self.must(set_thread(MPOL_INTERLEAVE), "set_mempolicy of a thread");
    ++running;
    while (!go) victim::Victim::pause_ms(1);
    expect(self, "second thread", nullptr, {MPOL_INTERLEAVE, true});
  });
  std::thread plain([&] {
    ++running;
    while (!go) victim::Victim::pause_ms(1);
    expect(self, "plain thread", nullptr, {MPOL_DEFAULT, false});
  });
  while (running != 2) victim::Victim::pause_ms(1);
  self.must(set_thread(MPOL_BIND | MPOL_F_STATIC_NODES), "set_mempolicy");
  self.ready_and_wait();

  go = true;
  other.join();
  plain.join();
  expect(self, "main thread", nullptr, {MPOL_BIND | MPOL_F_STATIC_NODES, true});
  expect(self, "before", own, {MPOL_DEFAULT, false});
  expect(self, "bound", own + 2 * kPage, {MPOL_BIND, true});
  expect(self, "bound, untouched", own + 4 * kPage, {MPOL_BIND, true});
  expect(self, "behind", own + 5 * kPage, {MPOL_DEFAULT, false});
  expect(self, "shared", shared, {MPOL_PREFERRED | MPOL_F_STATIC_NODES, true});
  expect(self, "rest of shared", shared + 4 * kPage, {MPOL_DEFAULT, false});
  self.expect(own[2 * kPage] == 7 && own[kPage] == 7 && own[5 * kPage] == 0, "content");
  return self.finish();
}
