// A thread writes generation numbers over a large area without pause, so that only one boundary
// between two generations is in it at any instant. A picture of the memory that was not taken at
// one instant shows more of them, or one that does not fit the writer's own position. Areas that a
// fork leaves out or empties, and shared ones, count too.
#include <sys/mman.h>

#include <atomic>
#include <thread>

#include "tests/victims/victim.h"

namespace {

constexpr size_t kPage = 4096;
constexpr size_t kPages = 4096;  // of each area
constexpr size_t kAreas = 4;

unsigned char* area[kAreas];
constexpr uint64_t kSweep = kPages * kAreas;
volatile uint64_t position = 0;  // pages written so far, in all areas together
std::atomic<bool> stop{false};
std::atomic<uint64_t> wrong{0};

uint64_t* word_of(uint64_t page) {
  const uint64_t index = page % kSweep;
  // Neighbours in time lie in different areas.
  return reinterpret_cast<uint64_t*>(area[index % kAreas] + index / kAreas * kPage);
}

void write_on() {
  while (!stop.load(std::memory_order_relaxed)) {
    const uint64_t page = position;
    volatile uint64_t* const word = word_of(page);
    // Written one sweep ago, or just now when the picture was taken before the next line. Seen
    // here, since the sweeps to come wipe a wrong picture out.
    const uint64_t expected = page < kSweep ? 0 : page + 1 - kSweep;
    if (*word != expected && *word != page + 1) ++wrong;
    *word = page + 1;
    position = page + 1;
  }
}

unsigned char* make_area(victim::Victim& self, int sharing, int advice) {
  void* memory =
      mmap(nullptr, kPages * kPage, PROT_READ | PROT_WRITE, sharing | MAP_ANONYMOUS, -1, 0);
  self.must(memory != MAP_FAILED, "mmap");
  if (advice != 0) self.must(madvise(memory, kPages * kPage, advice) == 0, "madvise");
  return static_cast<unsigned char*>(memory);
}

}  // namespace

int main(int argc, char** argv) {
  victim::Victim self(argc, argv);
  area[0] = make_area(self, MAP_PRIVATE, 0);
  area[1] = make_area(self, MAP_PRIVATE, MADV_DONTFORK);
  area[2] = make_area(self, MAP_PRIVATE, MADV_WIPEONFORK);
  area[3] = make_area(self, MAP_SHARED, 0);
  std::thread writer(write_on);
  while (position < kSweep * 2) victim::Victim::pause_ms(1);
  self.ready_and_wait();
  stop = true;
  writer.join();
  self.expect_equal("pages of another instant", 0, static_cast<long long>(wrong.load()));
  return self.finish();
}
