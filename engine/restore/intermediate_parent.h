// A short-lived process between cr-restore and the task it creates, for tasks that must not be
// cr-restore's children: one with a parent-death signal would get it when a cr-restore that was
// told to detach exits (PR_SET_PDEATHSIG, prctl(2)). And for tasks whose session leader has ended:
// it stands for that one.
#pragma once

#include <linux/sched.h>

#include <functional>

#include "engine/base/error.h"
#include "engine/base/unique_fd.h"

namespace cryostat::restore {

// Exits when it is told to or when its creator is gone; its child then belongs to init or to the
// nearest subreaper.
class IntermediateParent {
 public:
  // Forks a process that calls clone3 with `args`; the new task runs `child_main`, which must not
  // return. `error` is the errno of clone3, 0 when the task exists. `session`: not 0: the number it
  // has and the session it leads.
  static Result<IntermediateParent> start(const clone_args& args,
                                          const std::function<void()>& child_main, pid_t session,
                                          int& error);
  IntermediateParent(IntermediateParent&&) noexcept = default;
  IntermediateParent& operator=(IntermediateParent&&) = delete;
  ~IntermediateParent() { end(); }
  // Ends and reaps it.
  void end();

 private:
  IntermediateParent(int pid, UniqueFd channel) : pid_(pid), channel_(std::move(channel)) {}
  int pid_;
  UniqueFd channel_;  // open as long as it is to live
};

}  // namespace cryostat::restore
