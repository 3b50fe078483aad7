// A process that waits in vfork(2) for a child that neither executes a program nor ends.
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "tests/victims/victim.h"

int main(int argc, char** argv) {
  victim::Victim self(argc, argv);
  auto* const words = static_cast<int*>(
      mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0));
  const pid_t parent = fork();
  if (parent == 0) {
    const pid_t child = vfork();
    if (child == 0) {
      __atomic_store_n(&words[0], 1, __ATOMIC_SEQ_CST);
      while (__atomic_load_n(&words[1], __ATOMIC_SEQ_CST) == 0) {
        const timespec pause{0, 1'000'000};
        syscall(SYS_nanosleep, &pause, nullptr);
      }
      _exit(5);
    }
    int status = 0;
    while (waitpid(child, &status, 0) < 0 && errno == EINTR) {
    }
    _exit(WIFEXITED(status) && WEXITSTATUS(status) == 5 ? 0 : 1);
  }
  while (__atomic_load_n(&words[0], __ATOMIC_SEQ_CST) == 0) victim::Victim::pause_ms(1);

  self.ready_and_wait();

  __atomic_store_n(&words[1], 1, __ATOMIC_SEQ_CST);
  int status = 1;
  while (waitpid(parent, &status, 0) < 0 && errno == EINTR) {
  }
  self.expect(status == 0, "the parent ended with %#x", static_cast<unsigned>(status));
  return self.finish();
}
