// The process that keeps a tracker alive between two dumps. It holds the tracker's userfaultfd (if
// it has one) and a few bytes of state, waits for the end of the target and ends with it. Closing
// the last copy of a userfaultfd ends the tracking and nothing else: killing the keeper does the
// target no harm.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "engine/base/error.h"
#include "engine/base/ids.h"
#include "engine/base/unique_fd.h"
#include "engine/memory/tracker_choice.h"

namespace cryostat {
class TaskHandle;
}

namespace cryostat::memory {

// What `cr-check --trackers` shows.
struct KeeperInfo {
  HostPid pid;                    // of the keeper
  uint64_t start_time_ticks = 0;  // of the keeper
  HostPid target;
  uint64_t target_start_time_ticks = 0;
  TrackerChoice tracker = TrackerChoice::kNone;
  // The checkpoint since which writes are tracked; it may never have been completed.
  std::string checkpoint_id;
};

class TrackerKeeper {
 public:
  // Starts one for `target`, with a session of its own and none of our descriptors. `userfaultfd`
  // may be invalid. It is no child of ours when this returns.
  static Result<TrackerKeeper> start(const TaskHandle& target, TrackerChoice tracker,
                                     UniqueFd userfaultfd);
  // The keeper of `target`, if there is one; `hint` is looked at first, then every process.
  static Result<std::optional<TrackerKeeper>> find(const TaskHandle& target, HostPid hint = {});
  // Every keeper of this pid namespace.
  static Result<std::vector<KeeperInfo>> list();

  const KeeperInfo& info() const { return info_; }
  // A copy of the keeper's; -1 when the tracker needs none.
  int userfaultfd() const { return userfaultfd_.get(); }

  // Says which checkpoint writes are tracked for. To be called before the tracker forgets what was
  // written before: a dump that fails later leaves an id that no checkpoint has.
  Result<void> set_checkpoint(const std::string& checkpoint_id);

  // Ends the keeper, and with it the tracking.
  Result<void> end();
  // The same for one of list(); nothing to do when it is gone.
  static Result<void> end(const KeeperInfo& keeper);

 private:
  TrackerKeeper() = default;
  static Result<std::optional<TrackerKeeper>> open(HostPid pid);

  KeeperInfo info_;
  UniqueFd pidfd_;
  UniqueFd state_;
  UniqueFd userfaultfd_;
};

}  // namespace cryostat::memory
