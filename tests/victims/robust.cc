// What the C library and the kernel agreed on for each thread: robust mutex lists, rseq,
// clear_child_tid.
#include <linux/futex.h>
#include <pthread.h>
#include <sys/rseq.h>
#include <sys/syscall.h>

#include <atomic>

#include "tests/victims/victim.h"

namespace {

pthread_mutex_t robust;
std::atomic<bool> held{false}, leave{false};
std::atomic<bool> rseq_good{false};

const struct rseq* own_rseq() {
  return reinterpret_cast<const struct rseq*>(static_cast<char*>(__builtin_thread_pointer()) +
                                              __rseq_offset);
}

// The kernel keeps cpu_id of a registered area up to date whenever the thread is scheduled.
bool rseq_works() {
  if (__rseq_size == 0) return true;
  for (int i = 0; i < 50; ++i) {
    const auto cpu = static_cast<unsigned>(sched_getcpu());
    if (static_cast<int>(own_rseq()->cpu_id) >= 0 && own_rseq()->cpu_id == cpu) return true;
    victim::Victim::pause_ms(1);
  }
  return false;
}

// Ends without unlocking: the next owner must be told.
void* body(void*) {
  pthread_mutex_lock(&robust);
  held = true;
  while (!leave) victim::Victim::pause_ms(1);
  rseq_good = rseq_works();
  return nullptr;
}

}  // namespace

int main(int argc, char** argv) {
  victim::Victim self(argc, argv);
  pthread_mutexattr_t attributes;
  pthread_mutexattr_init(&attributes);
  pthread_mutexattr_setrobust(&attributes, PTHREAD_MUTEX_ROBUST);
  pthread_mutex_init(&robust, &attributes);
  pthread_t thread;
  self.must(pthread_create(&thread, nullptr, body, nullptr) == 0, "thread");
  while (!held) victim::Victim::pause_ms(1);
  void* head = nullptr;
  size_t size = 0;
  syscall(SYS_get_robust_list, 0, &head, &size);
  self.ready_and_wait();
  void* head_after = nullptr;
  syscall(SYS_get_robust_list, 0, &head_after, &size);
  self.expect(head == head_after, "the robust list moved");
  self.expect(rseq_works(), "rseq of the leader is not registered");
  leave = true;
  // Needs clear_child_tid: join waits for the kernel to clear it and to wake the futex.
  pthread_join(thread, nullptr);
  self.expect(rseq_good, "rseq of the thread is not registered");
  self.expect_equal("locking after the owner died", EOWNERDEAD, pthread_mutex_lock(&robust));
  return self.finish();
}
