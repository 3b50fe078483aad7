#include "engine/base/unbroken.h"

#include <sched.h>
#include <sys/wait.h>

#include <cerrno>
#include <cstddef>
#include <vector>

#include "engine/base/signals_blocked.h"

namespace cryostat {

void run_unbroken(const std::function<void()>& work) {
  constexpr size_t kStackBytes = 128 << 10;
  std::vector<std::byte> stack(kStackBytes);
  // The other process starts with them blocked: no handler of this one runs there.
  const AllSignalsBlocked blocked;
  const auto run = [](void* argument) {
    (*static_cast<const std::function<void()>*>(argument))();
    return 0;
  };
  // Without an exit signal: SIGCHLD would be seen by whoever waits for it here.
  const pid_t pid =
      clone(run, stack.data() + stack.size(), CLONE_VM | CLONE_FILES | CLONE_FS | CLONE_VFORK,
            const_cast<std::function<void()>*>(&work));
  if (pid < 0) return work();
  while (waitpid(pid, nullptr, __WALL) < 0 && errno == EINTR) {
  }
}

}  // namespace cryostat
