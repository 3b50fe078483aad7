// Processes and threads that come and go all the time: whenever it is looked at, somebody is being
// born and somebody ends.
#include <pthread.h>
#include <sys/mman.h>
#include <sys/wait.h>

#include "tests/victims/victim.h"

namespace {

constexpr int kWorkers = 3;

struct Board {
  int stop;
  long rounds[kWorkers];
};
Board* g_board;

void* nothing(void* argument) { return argument; }

// A child that has a child of its own and a thread; all end at once.
[[noreturn]] void live_shortly() {
  const pid_t grandchild = fork();
  if (grandchild == 0) _exit(3);
  pthread_t thread;
  if (pthread_create(&thread, nullptr, nothing, nullptr) == 0) pthread_join(thread, nullptr);
  int status = 0;
  while (waitpid(grandchild, &status, 0) < 0 && errno == EINTR) {
  }
  _exit(WIFEXITED(status) && WEXITSTATUS(status) == 3 ? 7 : 1);
}

[[noreturn]] void work(long* rounds) {
  while (__atomic_load_n(&g_board->stop, __ATOMIC_RELAXED) == 0) {
    const pid_t child = fork();
    if (child == 0) live_shortly();
    int status = 0;
    while (waitpid(child, &status, 0) < 0 && errno == EINTR) {
    }
    if (!WIFEXITED(status) || WEXITSTATUS(status) != 7) _exit(1);
    __atomic_add_fetch(rounds, 1, __ATOMIC_RELAXED);
    // Others have work to do too.
    const timespec pause{0, 300'000};
    nanosleep(&pause, nullptr);
  }
  _exit(0);
}

}  // namespace

int main(int argc, char** argv) {
  victim::Victim self(argc, argv);
  g_board = static_cast<Board*>(
      mmap(nullptr, sizeof(Board), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0));
  pid_t workers[kWorkers];
  for (int i = 0; i < kWorkers; ++i) {
    workers[i] = fork();
    if (workers[i] == 0) work(&g_board->rounds[i]);
  }

  self.ready_and_wait();

  // All of them still get on.
  for (const long& rounds : g_board->rounds) {
    const long before = __atomic_load_n(&rounds, __ATOMIC_RELAXED);
    const long long deadline = victim::now_ms() + 20'000;
    while (__atomic_load_n(&rounds, __ATOMIC_RELAXED) == before && victim::now_ms() < deadline)
      victim::Victim::pause_ms(1);
    self.expect(__atomic_load_n(&rounds, __ATOMIC_RELAXED) != before, "a worker stands still");
  }
  g_board->stop = 1;
  for (const pid_t worker : workers) {
    int status = 0;
    while (waitpid(worker, &status, 0) < 0 && errno == EINTR) {
    }
    self.expect(status == 0, "a worker ended with %#x", static_cast<unsigned>(status));
  }
  return self.finish();
}
