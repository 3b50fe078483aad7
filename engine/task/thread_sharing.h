// What the threads of a task normally share (clone(2)) and what this engine takes for shared:
// descriptors, root and working directory, namespaces. A thread with its own is refused by name. Of
// the namespaces the network is looked at, the one that programs do give single threads; the mount
// namespace goes with the root. A look at one costs as much as the rest of a thread's dump.
#pragma once

#include <thread>
#include <vector>

#include "engine/base/error.h"
#include "engine/base/ids.h"
#include "engine/base/refusals.h"

namespace cryostat {
class TaskHandle;
}

namespace cryostat::task {

// `tids`: leader first, all stopped. Errors: kFailed when kcmp(2) (CONFIG_KCMP) is missing and
// there is more than one thread.
Result<void> check_thread_sharing(const TaskHandle& task, const std::vector<Tid>& tids,
                                  Refusals& refusals);

// The same beside other work: it only looks at /proc, which costs tens of microseconds a thread,
// while the caller talks to the threads. With few threads nothing is started and finish() does the
// work.
class ThreadSharingCheck {
 public:
  // `task` must outlive the check.
  ThreadSharingCheck(const TaskHandle& task, std::vector<Tid> tids);
  ThreadSharingCheck(const ThreadSharingCheck&) = delete;
  ThreadSharingCheck& operator=(const ThreadSharingCheck&) = delete;
  ~ThreadSharingCheck();
  // Waits for it; once.
  Result<void> finish(Refusals& refusals);

 private:
  const TaskHandle& task_;
  const std::vector<Tid> tids_;
  Refusals found_;
  Result<void> result_;
  std::thread beside_;
};

}  // namespace cryostat::task
