// Room for the many descriptors that the engine itself has open: several for each task of a tree,
// one for each shared memory object.
#pragma once

namespace cryostat {

// Raises the soft RLIMIT_NOFILE of this process to its hard limit and makes its descriptor table
// wide at once. Best effort: whoever needs more is told by the call that fails.
//
// A table that has to grow while the process has several threads waits for an RCU grace period,
// some 10 ms each time it doubles (expand_fdtable() of the kernel): call it before threads start
// and before a target is frozen.
void make_room_for_descriptors();

}  // namespace cryostat
