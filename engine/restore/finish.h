// The last stage of a restore, done from outside: registers, signal masks, interrupted calls, the
// restorer area's end, and the release.
#pragma once

#include <vector>

#include "engine/base/error.h"
#include "engine/restore/create_task.h"

namespace cryostat::pb {
class Task;
class Thread;
}  // namespace cryostat::pb

namespace cryostat::restore {

// What the kernel has told a task about its restored children.
struct ChildReports {
  bool signalled = false;              // by stop_task() or continue_task(); it is not to hear of it
  std::vector<pid_t> collected_stops;  // whose stops it had collected before the dump (wait(2))
};

// Puts every thread's registers, xstate and signal mask in place, sets up the restart blocks of
// interrupted calls and unmaps the restorer area. `threads`: leader first, as in the images.
// Precondition: wait_for_threads() succeeded. What needs stopped threads with the area still mapped
// must be done before. On an error the task is only good for being killed.
Result<void> finish_threads(const CreatedTask& task, const pb::Task& image,
                            const std::vector<pb::Thread>& threads, const ChildReports& children);

// The signal that stops the task the way the dumped one was stopped, where that still works;
// SIGSTOP otherwise (a handler is set, or the task's process group is an orphaned one). `parent`:
// the pid of its parent, 0 for cr-restore itself.
int stop_signal_for(const CreatedTask& task, const pb::Task& image, pid_t parent);

// Brings all threads of a finished task into a group stop: --leave-stopped, or a target that was
// stopped when it was dumped. `stop_signal`: SIGSTOP for --leave-stopped, else stop_signal_for().
Result<void> stop_task(const CreatedTask& task, const std::vector<pb::Thread>& threads,
                       int stop_signal);

// Continues a task that stop_task() has stopped: it then is one that was continued and whose parent
// can still collect that (WCONTINUED). No thread has run an instruction.
Result<void> continue_task(const CreatedTask& task, const std::vector<pb::Thread>& threads);

// The task is no longer killed with cr-restore. From the first task on for which this is done, the
// tree has to be disowned and released.
Result<void> outlive_restore(const std::vector<pb::Thread>& threads);

// Lets every thread go. From the first thread let go on the tree may do anything, end included, so
// nothing is undone any more and a thread that is gone is as good as released.
Result<void> release(const CreatedTask& task, const std::vector<pb::Thread>& threads);

}  // namespace cryostat::restore
