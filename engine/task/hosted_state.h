// State that a restored task gets in hosted code, before the restorer blob runs.
#pragma once

#include "engine/base/error.h"

namespace cryostat::pb {
class AddressSpace;
class Task;
}  // namespace cryostat::pb

namespace cryostat::task {

// First step in the child: soft limits raised as far as they go (so that nothing of the restore
// hits them), THP disabled for the address space.
Result<void> apply_start(const pb::AddressSpace& space);

// Last step in the child, after everything that opens or creates files: coredump_filter,
// oom_score_adj, root, working directory, umask; gives up the rseq area that libc registered. Paths
// are looked up as the engine sees them until here.
struct Surroundings {
  bool directories = true;  // root, working directory, umask: not those of another task (CLONE_FS)
  bool gives_up_rseq = true;  // libc has registered one: not in a process born with CLONE_VM
};
Result<void> apply_surroundings(const pb::Task& task, const Surroundings& surroundings);

}  // namespace cryostat::task
