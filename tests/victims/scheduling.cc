// Scheduling of each thread: policy, priority, nice, affinity, I/O priority, timer slack,
// reset-on-fork.
#include <pthread.h>
#include <sched.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>

#include <atomic>

#include "tests/victims/victim.h"

namespace {

std::atomic<int> started{0};
std::atomic<bool> stop{false};

struct Setting {
  int policy, priority, nice;
  int cpu;  // -1: all
  int io_priority;
  pthread_t thread{};
  std::string before{}, after{};
};

std::string state() {
  cpu_set_t cpus;
  CPU_ZERO(&cpus);
  sched_getaffinity(0, sizeof(cpus), &cpus);
  sched_param param{};
  sched_getparam(0, &param);
  unsigned long mask = 0;
  for (int cpu = 0; cpu < 64; ++cpu) mask |= CPU_ISSET(cpu, &cpus) ? 1UL << cpu : 0;
  const auto tid = static_cast<id_t>(syscall(SYS_gettid));
  char text[200];
  snprintf(text, sizeof(text), "policy %x priority %d nice %d cpus %lx io %ld slack %d",
           static_cast<unsigned>(syscall(SYS_sched_getscheduler, 0)), param.sched_priority,
           getpriority(PRIO_PROCESS, tid), mask, syscall(SYS_ioprio_get, 1, 0),
           prctl(PR_GET_TIMERSLACK));
  return text;
}

void* body(void* argument) {
  auto& setting = *static_cast<Setting*>(argument);
  const auto tid = static_cast<id_t>(syscall(SYS_gettid));
  if (setting.cpu >= 0) {
    cpu_set_t cpus;
    CPU_ZERO(&cpus);
    CPU_SET(setting.cpu, &cpus);
    sched_setaffinity(0, sizeof(cpus), &cpus);
  }
  setpriority(PRIO_PROCESS, tid, setting.nice);
  const sched_param param{setting.priority};
  // Through the system call: the library keeps its own idea of it otherwise.
  syscall(SYS_sched_setscheduler, 0, setting.policy, &param);
  if (setting.io_priority != 0) syscall(SYS_ioprio_set, 1, 0, setting.io_priority);
  prctl(PR_SET_TIMERSLACK, 60'000UL + static_cast<unsigned long>(setting.nice + 20));
  setting.before = state();
  ++started;
  while (!stop) victim::Victim::pause_ms(2);
  setting.after = state();
  return nullptr;
}

}  // namespace

int main(int argc, char** argv) {
  victim::Victim self(argc, argv);
  static Setting settings[] = {
      {SCHED_OTHER, 0, 5, -1, 0},         {SCHED_BATCH, 0, 10, 0, (2 << 13) | 3},
      {SCHED_IDLE, 0, 3, -1, 3 << 13},    {SCHED_FIFO, 7, -2, -1, 0},
      {SCHED_RR, 3, 9, 0, (1 << 13) | 2}, {SCHED_OTHER | SCHED_RESET_ON_FORK, 0, -3, -1, 0},
  };
  for (auto& setting : settings)
    self.must(pthread_create(&setting.thread, nullptr, body, &setting) == 0, "thread");
  while (started != static_cast<int>(std::size(settings))) victim::Victim::pause_ms(1);
  self.ready_and_wait();
  stop = true;
  for (auto& setting : settings) {
    pthread_join(setting.thread, nullptr);
    self.expect(setting.before == setting.after, "%s, was %s", setting.after.c_str(),
                setting.before.c_str());
  }
  return self.finish();
}
