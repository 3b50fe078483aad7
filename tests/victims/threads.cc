// Threads: tids, names, per-thread data, a mutex that is held and a condition that is waited on.
// Argument: number of threads (default 8).
#include <pthread.h>
#include <sys/syscall.h>

#include <atomic>
#include <vector>

#include "tests/victims/victim.h"

namespace {

std::atomic<bool> stop{false};
std::atomic<int> started{0};
pthread_mutex_t held = PTHREAD_MUTEX_INITIALIZER;
pthread_mutex_t gate = PTHREAD_MUTEX_INITIALIZER;
pthread_cond_t opened = PTHREAD_COND_INITIALIZER;
bool open_gate = false;
thread_local uint64_t mine = 0;

struct Worker {
  pthread_t thread;
  int number;
  pid_t tid;
  pid_t tid_after;
  uint64_t mine_after;
  char name_after[32];
  void* address;
  void* address_after;
};

int own_tid() { return static_cast<int>(syscall(SYS_gettid)); }

// A third spins, a third waits on a condition, a third blocks on a mutex the leader holds.
void* work(void* argument) {
  auto& worker = *static_cast<Worker*>(argument);
  worker.tid = own_tid();
  worker.address = &mine;
  mine = 1000u + static_cast<unsigned>(worker.number);
  char name[16];
  snprintf(name, sizeof(name), "worker-%d", worker.number);
  pthread_setname_np(pthread_self(), name);
  ++started;
  if (worker.number % 3 == 0) {
    while (!stop) victim::Victim::pause_ms(1);
  } else if (worker.number % 3 == 1) {
    pthread_mutex_lock(&gate);
    while (!open_gate) pthread_cond_wait(&opened, &gate);
    pthread_mutex_unlock(&gate);
  } else {
    pthread_mutex_lock(&held);
    pthread_mutex_unlock(&held);
  }
  worker.tid_after = own_tid();
  worker.mine_after = mine;
  worker.address_after = &mine;
  pthread_getname_np(pthread_self(), worker.name_after, sizeof(worker.name_after));
  return nullptr;
}

}  // namespace

int main(int argc, char** argv) {
  victim::Victim self(argc, argv);
  std::vector<Worker> workers(argc > 2 ? static_cast<size_t>(atoi(argv[2])) : 8);
  pthread_mutex_lock(&held);
  pthread_attr_t attributes;
  pthread_attr_init(&attributes);
  pthread_attr_setstacksize(&attributes, 64 << 10);
  for (size_t i = 0; i < workers.size(); ++i) {
    workers[i].number = static_cast<int>(i);
    self.must(pthread_create(&workers[i].thread, &attributes, work, &workers[i]) == 0,
              "pthread_create");
  }
  while (started != static_cast<int>(workers.size())) victim::Victim::pause_ms(1);
  self.ready_and_wait();

  stop = true;
  pthread_mutex_lock(&gate);
  open_gate = true;
  pthread_cond_broadcast(&opened);
  pthread_mutex_unlock(&gate);
  pthread_mutex_unlock(&held);
  for (auto& worker : workers) {
    pthread_join(worker.thread, nullptr);
    char name[16];
    snprintf(name, sizeof(name), "worker-%d", worker.number);
    self.expect_equal("tid", worker.tid, worker.tid_after);
    self.expect_equal("thread-local value", 1000 + worker.number,
                      static_cast<long long>(worker.mine_after));
    self.expect(worker.address == worker.address_after, "thread-local address moved");
    self.expect(strcmp(name, worker.name_after) == 0, "name %s, was %s", worker.name_after, name);
  }
  // New threads can be made, and get ids of their own.
  pthread_t late;
  self.expect(pthread_create(
                  &late, &attributes, [](void*) -> void* { return nullptr; }, nullptr) == 0,
              "no new thread");
  pthread_join(late, nullptr);
  return self.finish();
}
