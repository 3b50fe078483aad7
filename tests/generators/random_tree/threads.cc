#include "tests/generators/random_tree/threads.h"

#include <linux/futex.h>
#include <poll.h>
#include <pthread.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <atomic>
#include <climits>
#include <csignal>
#include <ctime>
#include <string>

namespace random_tree {

struct Threads::Thread {
  uint64_t seed;
  pid_t tid = 0;
  std::atomic<uint32_t> turn{0};  // odd: asked; even: answered
  std::atomic<bool> ready{false};
  uint64_t kept = 0;
};

namespace {
thread_local uint64_t t_kept;
}

void* Threads::live(void* argument) {
  auto& self = *static_cast<Thread*>(argument);
  Random random(self.seed);
  t_kept = random.next();
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, static_cast<int>(SIGRTMIN + random.below(10)));
  pthread_sigmask(SIG_BLOCK, &set, nullptr);
  prctl(PR_SET_NAME, ("thread " + std::to_string(random.below(100))).c_str());
  const uint64_t waiting = random.below(3);
  self.tid = static_cast<pid_t>(syscall(SYS_gettid));
  self.ready = true;
  for (;;) {
    const uint32_t turn = self.turn;
    if (turn % 2 != 0) {
      self.kept = t_kept;
      ++self.turn;
    } else if (waiting == 0) {
      syscall(SYS_futex, &self.turn, FUTEX_WAIT_PRIVATE, turn, nullptr, nullptr, 0);
    } else if (waiting == 1) {
      const timespec pause{0, 4'000'000};
      nanosleep(&pause, nullptr);
    } else {
      poll(nullptr, 0, 4);
    }
  }
}

void Threads::add(Random& random) {
  if (threads_.size() >= 4) return;
  auto* thread = new Thread{random.next()};
  pthread_attr_t attributes;
  pthread_attr_init(&attributes);
  pthread_attr_setstacksize(&attributes, 128 << 10);
  pthread_t handle;
  if (pthread_create(&handle, &attributes, live, thread) != 0) return;
  while (!thread->ready) usleep(100);
  threads_.push_back(thread);
}

void Threads::look(Report& report) const {
  for (Thread* thread : threads_) {
    ++thread->turn;
    syscall(SYS_futex, &thread->turn, FUTEX_WAKE_PRIVATE, INT_MAX, nullptr, nullptr, 0);
    for (int i = 0; i < 40'000 && thread->turn % 2 != 0; ++i) usleep(100);
    report.line("thread %d %s %lx", thread->tid, thread->turn % 2 == 0 ? "keeps" : "is silent",
                thread->kept);
  }
}

void Threads::forget() { threads_.clear(); }

}  // namespace random_tree
