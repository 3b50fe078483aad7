#include "engine/restore/small_heap.h"

#include <malloc.h>
#include <pthread.h>

#include <array>
#include <cstdlib>

#include "engine/base/signals_blocked.h"

namespace cryostat::restore {

namespace {

// The frames of all generations of a tree lie on it, one on the other.
constexpr size_t kStackBytes = 256 << 20;

// A new heap grows by a page at a time; enough for the hosted code of most tasks is made at once.
// Never touched, it costs a fork nothing.
void widen_heap() {
  std::array<void*, 16> blocks;
  for (void*& block : blocks) block = std::malloc(64 << 10);
  for (void* block : blocks) std::free(block);
}

void* run(void* work) {
  widen_heap();
  (*static_cast<const std::function<void()>*>(work))();
  return nullptr;
}

}  // namespace

void run_with_small_heap(const std::function<void()>& work) {
  // Kept when they are free, and large blocks in it too: less to map and unmap for each process.
  mallopt(M_TRIM_THRESHOLD, 64 << 20);
  mallopt(M_MMAP_THRESHOLD, 4 << 20);
  pthread_attr_t attributes;
  pthread_attr_init(&attributes);
  pthread_attr_setstacksize(&attributes, kStackBytes);
  pthread_t thread;
  const AllSignalsBlocked inherited_by_the_thread;
  const bool started =
      pthread_create(&thread, &attributes, run, const_cast<std::function<void()>*>(&work)) == 0;
  pthread_attr_destroy(&attributes);
  if (!started) return work();
  pthread_join(thread, nullptr);
}

}  // namespace cryostat::restore
