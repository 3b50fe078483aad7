// Threads of one process with credentials of their own (set by raw system calls), and a child
// subreaper, parent-death signal, timer slack and name for each.
#include <grp.h>
#include <pthread.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <csignal>

#include <atomic>

#include "tests/victims/victim.h"

namespace {

std::atomic<int> started{0};
std::atomic<bool> stop{false};

struct Thread {
  pthread_t thread;
  int number;
  bool good = false;
};

void* body(void* argument) {
  auto& thread = *static_cast<Thread*>(argument);
  const auto id = static_cast<unsigned>(2000 + thread.number);
  const gid_t group = id + 500;
  syscall(SYS_setgroups, 1, &group);
  syscall(SYS_setresgid, id, id, id);
  prctl(PR_SET_TIMERSLACK, 100'000UL + id);
  prctl(PR_SET_PDEATHSIG, SIGRTMIN + thread.number);
  syscall(SYS_setresuid, id, id, 0);
  prctl(PR_SET_PDEATHSIG, SIGRTMIN + thread.number);  // cleared by the change of user
  ++started;
  while (!stop) victim::Victim::pause_ms(1);
  unsigned r = 0, e = 0, s = 1;
  syscall(SYS_getresuid, &r, &e, &s);
  gid_t found = 0;
  int signal_number = 0;
  prctl(PR_GET_PDEATHSIG, &signal_number);
  thread.good = r == id && e == id && s == 0 && syscall(SYS_getgroups, 1, &found) == 1 &&
                found == group && prctl(PR_GET_TIMERSLACK) == static_cast<int>(100'000 + id) &&
                signal_number == SIGRTMIN + thread.number;
  return nullptr;
}

}  // namespace

int main(int argc, char** argv) {
  victim::Victim self(argc, argv);
  prctl(PR_SET_CHILD_SUBREAPER, 1);
  static Thread threads[3];
  for (int i = 0; i < 3; ++i) {
    threads[i].number = i;
    self.must(pthread_create(&threads[i].thread, nullptr, body, &threads[i]) == 0, "thread");
  }
  while (started != 3) victim::Victim::pause_ms(1);
  self.ready_and_wait();
  stop = true;
  for (auto& thread : threads) {
    pthread_join(thread.thread, nullptr);
    self.expect(thread.good, "thread %d has other credentials or attributes", thread.number);
  }
  int reaper = 0;
  prctl(PR_GET_CHILD_SUBREAPER, &reaper);
  self.expect_equal("child subreaper", 1, reaper);
  unsigned r = 1;
  syscall(SYS_getresuid, &r, &r, &r);
  self.expect_equal("uid of the leader", 0, r);
  return self.finish();
}
