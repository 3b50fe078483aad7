#include "engine/restore/rendezvous.h"

#include <linux/futex.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <climits>
#include <utility>

#include "engine/base/ids.h"
#include "engine/kernel/raw_syscall.h"

namespace cryostat::restore {

namespace {
constexpr size_t kCounters = static_cast<size_t>(Rendezvous::Point::kCount);

// Not FUTEX_PRIVATE: the others are other processes.
void wait_while(const uint32_t* word, uint32_t value) {
  raw_syscall(SYS_futex, reinterpret_cast<uint64_t>(word), FUTEX_WAIT, value);
}
void wake_all(const uint32_t* word) {
  raw_syscall(SYS_futex, reinterpret_cast<uint64_t>(word), FUTEX_WAKE, INT_MAX);
}

}  // namespace

Result<Rendezvous> Rendezvous::create(size_t description_count, size_t object_count, size_t tasks) {
  Rendezvous shared;
  shared.description_count_ = description_count;
  shared.object_count_ = object_count;
  shared.member_count_ = tasks;
  shared.size_bytes_ = page_align_up(tasks * sizeof(Member) + kCounters * sizeof(uint32_t) +
                                     (description_count + object_count) * sizeof(int));
  void* const at =
      mmap(nullptr, shared.size_bytes_, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (at == MAP_FAILED) return fail_errno("map memory for the tasks to meet in");
  shared.memory_ = at;
  shared.members_ = static_cast<Member*>(at);  // all zero
  shared.counters_ = reinterpret_cast<uint32_t*>(shared.members_ + tasks);
  shared.numbers_ = reinterpret_cast<int*>(shared.counters_ + kCounters);
  std::fill_n(shared.numbers_, description_count + object_count, -1);
  return shared;
}

Rendezvous::Rendezvous(Rendezvous&& other) noexcept
    : memory_(std::exchange(other.memory_, nullptr)),
      size_bytes_(other.size_bytes_),
      counters_(other.counters_),
      members_(other.members_),
      member_count_(other.member_count_),
      numbers_(other.numbers_),
      description_count_(other.description_count_),
      object_count_(other.object_count_) {}

Rendezvous::~Rendezvous() {
  if (memory_ != nullptr) munmap(memory_, size_bytes_);
}

void Rendezvous::arrive(Point point, uint32_t expected, uint32_t turn) const {
  uint32_t* const counter = &counters_[static_cast<size_t>(point)];
  uint32_t arrived = __atomic_add_fetch(counter, 1, __ATOMIC_ACQ_REL);
  if (arrived >= expected) {
    wake_all(counter);
    return;
  }
  give_turn(turn);
  while (arrived < expected) {
    wait_while(counter, arrived);
    arrived = __atomic_load_n(counter, __ATOMIC_ACQUIRE);
  }
  take_turn(turn);
}

void Rendezvous::pass(Point point, uint32_t expected) const {
  uint32_t* const counter = &counters_[static_cast<size_t>(point)];
  if (__atomic_add_fetch(counter, 1, __ATOMIC_ACQ_REL) >= expected) wake_all(counter);
}

void Rendezvous::take_turn(uint32_t turn) const {
  if (turn == kNoTurn) return;
  uint32_t* const lock = lock_of(turn);
  uint32_t expected = 0;
  if (__atomic_compare_exchange_n(lock, &expected, 1, false, __ATOMIC_ACQUIRE, __ATOMIC_RELAXED))
    return;
  while (__atomic_exchange_n(lock, 2, __ATOMIC_ACQUIRE) != 0) wait_while(lock, 2);
}

void Rendezvous::give_turn(uint32_t turn) const {
  if (turn == kNoTurn) return;
  uint32_t* const lock = lock_of(turn);
  if (__atomic_exchange_n(lock, 0, __ATOMIC_RELEASE) == 2) wake_all(lock);
}

void Rendezvous::signal(uint32_t& word) {
  __atomic_store_n(&word, 1, __ATOMIC_RELEASE);
  wake_all(&word);
}

void Rendezvous::await(const uint32_t& word, uint32_t turn) const {
  if (__atomic_load_n(&word, __ATOMIC_ACQUIRE) != 0) return;
  give_turn(turn);
  while (__atomic_load_n(&word, __ATOMIC_ACQUIRE) == 0) wait_while(&word, 0);
  take_turn(turn);
}

}  // namespace cryostat::restore
