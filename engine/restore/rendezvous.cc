#include "engine/restore/rendezvous.h"

#include <linux/futex.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <climits>
#include <utility>

#include "engine/base/ids.h"

namespace cryostat::restore {

namespace {
constexpr size_t kCounters = static_cast<size_t>(Rendezvous::Point::kCount);
}

Result<Rendezvous> Rendezvous::create(size_t description_count, size_t object_count) {
  Rendezvous shared;
  shared.description_count_ = description_count;
  shared.object_count_ = object_count;
  shared.size_bytes_ = page_align_up(kCounters * sizeof(uint32_t) +
                                     (description_count + object_count) * sizeof(int));
  void* const at =
      mmap(nullptr, shared.size_bytes_, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (at == MAP_FAILED) return fail_errno("map memory for the tasks to meet in");
  shared.memory_ = at;
  shared.counters_ = static_cast<uint32_t*>(at);
  shared.numbers_ = reinterpret_cast<int*>(shared.counters_ + kCounters);
  std::fill_n(shared.numbers_, description_count + object_count, -1);
  return shared;
}

Rendezvous::Rendezvous(Rendezvous&& other) noexcept
    : memory_(std::exchange(other.memory_, nullptr)),
      size_bytes_(other.size_bytes_),
      counters_(other.counters_),
      numbers_(other.numbers_),
      description_count_(other.description_count_),
      object_count_(other.object_count_) {}

Rendezvous::~Rendezvous() {
  if (memory_ != nullptr) munmap(memory_, size_bytes_);
}

void Rendezvous::arrive(Point point, uint32_t expected) const {
  uint32_t* const counter = &counters_[static_cast<size_t>(point)];
  uint32_t arrived = __atomic_add_fetch(counter, 1, __ATOMIC_ACQ_REL);
  if (arrived >= expected) {
    // Not FUTEX_PRIVATE: the waiters are other processes.
    syscall(SYS_futex, counter, FUTEX_WAKE, INT_MAX, nullptr, nullptr, 0);
    return;
  }
  while (arrived < expected) {
    syscall(SYS_futex, counter, FUTEX_WAIT, arrived, nullptr, nullptr, 0);
    arrived = __atomic_load_n(counter, __ATOMIC_ACQUIRE);
  }
}

}  // namespace cryostat::restore
