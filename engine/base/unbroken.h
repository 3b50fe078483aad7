// Steps that are done to their end even if the process is killed between them.
#pragma once

#include <functional>

namespace cryostat {

// Runs `work` in a process of its own that shares memory, descriptors, root, working directory and
// umask with this one, which waits for it (clone(2): CLONE_VM, CLONE_VFORK). A SIGKILL for this
// process, or the death of its parent, does not reach that one. For a name that must not stay
// behind: what creates and removes it is one such work. `work` must be short and must not throw.
// When no process is to be had it is run here.
void run_unbroken(const std::function<void()>& work);

}  // namespace cryostat
