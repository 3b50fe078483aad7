#include "engine/task/start_state.h"

#include <sys/syscall.h>
#include <unistd.h>

#include "parasite/thread_state.h"
#include "proto/wire/state_calls.h"

namespace cryostat::task {

Result<StartState> read_start_state() {
  StartState start;
  // The blob's own code, built for the engine as well: what it finds here and in a target is
  // comparable.
  parasite::collect_thread_state(&start.thread);
  if (start.thread.error != 0) return fail_errno(-start.thread.error, "read own state");
  const int groups = getgroups(0, nullptr);
  if (groups < 0) return fail_errno("count own groups");
  start.groups.resize(static_cast<size_t>(groups));
  if (getgroups(groups, start.groups.data()) < 0) return fail_errno("read own groups");
  if (syscall(SYS_arch_prctl, wire::calls::kArchGetXcompPerm, &start.xcomp_permitted) != 0)
    start.xcomp_permitted = 0;
  return start;
}

}  // namespace cryostat::task
