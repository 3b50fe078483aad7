// The tasks of a tree, created under their old pids, traced from their first moment, killed and
// reaped unless released.
#pragma once

#include <vector>

#include "engine/base/deadline.h"
#include "engine/base/error.h"
#include "engine/base/ids.h"
#include "engine/restore/child_channel.h"
#include "engine/restore/hosted_child.h"

namespace cryostat::restore {

struct CreateOptions {
  enum class Parent : uint8_t {
    kCaller,         // cr-restore
    kCallersParent,  // CLONE_PARENT, --restore-sibling
    kInit,           // nobody of ours: init, or the nearest subreaper
  };
  Parent parent = Parent::kCaller;
  bool suspend_seccomp = false;  // a thread of the target has seccomp on (PTRACE_O_SUSPEND_SECCOMP,
                                 // needs CAP_SYS_ADMIN)
  bool small_heap = false;       // the tree is large (run_with_small_heap())
};

// One live task of the tree.
struct CreatedTask {
  HostPid pid;
  LaunchReport launch;     // once it is ready
  bool own_child = false;  // its end is reported to cr-restore
};

// Owns the new tasks: the destructor kills them with all their threads and reaps them. Only the
// thread of the engine that created them may use them (ptrace(2)).
class CreatedTree {
 public:
  CreatedTree(CreatedTree&&) noexcept;
  CreatedTree& operator=(CreatedTree&&) = delete;
  ~CreatedTree();

  // clone3(set_tid) of a root that runs hosted_child_main() once it is seized with EXITKILL, and
  // forks the others. kMachine when a pid is taken; kPermission without CAP_CHECKPOINT_RESTORE.
  // `tree` must outlive the object. Precondition: no other thread of the engine holds a lock the
  // children need (start none before).
  static Result<CreatedTree> create(const CreateOptions& options, const HostedTree& tree);

  // Live tasks, parents first.
  const std::vector<CreatedTask>& tasks() const { return tasks_; }
  const CreatedTask& root() const { return tasks_.front(); }

  // Waits until the hosted part of every task is done, and every zombie is one: a child's own
  // Error, or how it died, is the Error. `stop` is looked at all the time. The tasks then wait.
  Result<void> wait_ready(const StopRequest& stop);
  // Lets the waiting tasks go on into the blob.
  void enter_restorer();

  // The tasks are released and live their own life: the destructor does nothing any more.
  void disown() { owned_ = false; }

 private:
  CreatedTree(const HostedTree& tree, ChildChannel channel);
  Result<void> seize_root(const CreateOptions& options);
  Result<bool> take_message(int timeout_ms);
  Result<void> look_at_children();
  Result<void> look_at(pid_t pid, int status);
  CreatedTask* find(pid_t pid);

  const HostedTree* tree_;
  ChildChannel channel_;
  std::vector<CreatedTask> tasks_;
  size_t ready_ = 0;   // tasks that said so
  size_t to_end_ = 0;  // placeholders and zombies that live
  bool owned_ = true;
};

}  // namespace cryostat::restore
