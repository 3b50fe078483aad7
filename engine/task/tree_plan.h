// How a tree of tasks is born again: who forks whom and when, so that every task has its old
// parent, session and process group.
//
// A session is inherited by fork(2) and never entered later (setsid(2)), so a task that belongs to
// a session must be forked by a member of it:
//  - by its parent, if that is a member: after its own setsid, or before, when the child is in the
//    session the parent had left;
//  - else by a sibling that leads the session, with CLONE_PARENT (clone(2));
//  - else, when the leader has ended, by a placeholder: a process with the leader's number, which
//    lives until all groups exist;
//  - or by a leader that is a zombie again later, or such a placeholder, whose orphan it becomes
//  when
//    that ends: for the nearest subreaper (prctl(2)) to adopt.
// What tasks share by clone(2) (address space, descriptor table, working directory, signal
// handlers) they can only get at their birth: they are forked by a task that has it, their parent
// or a sibling.
// A process group can be joined at any time (setpgid(2)); one whose leader has ended gets a
// placeholder as well.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <span>
#include <vector>

#include "engine/base/error.h"

namespace cryostat::pb {
class Task;
}

namespace cryostat::task {

struct Birth {
  static constexpr size_t kPlaceholder = SIZE_MAX;
  // What `group` says when it is not a process group id.
  static constexpr pid_t kInherited = 0;  // leave it as it is after the fork
  static constexpr pid_t kOutside = -1;   // the one cr-restore is in

  pid_t pid = 0;
  size_t task = kPlaceholder;  // index of the task, or a placeholder
  bool leads_session = false;  // calls setsid(2)
  bool by_sibling = false;     // forked with CLONE_PARENT
  uint64_t share = 0;          // CLONE_VM, … : what it has in common with who forks it
  pid_t group = kInherited;
  bool leaves_group = false;  // makes the group of its number, which others are in, and leaves it
  std::vector<size_t> before_session;  // births it forks before its setsid
  std::vector<size_t> after_session;   // and after it (or at once when it does not lead one)
  std::vector<size_t> placeholders;  // births of which it is the parent and whose end it waits for
  std::vector<size_t> zombies;       // its children that are zombies
  bool gives_up_terminal = false;    // its session has a controlling terminal, the task does not

  bool is_placeholder() const { return task == kPlaceholder; }
};

struct TreePlan {
  // Those of the tasks first, in their order (the root is 0), then the placeholders.
  std::vector<Birth> births;
  // Not 0: the session of the root is one whose leader has ended; the root is forked by a
  // placeholder of this number.
  pid_t root_session = 0;
  bool has_leavers = false;  // somebody leaves its group: after all have joined theirs
};

// A session whose controlling terminal is a pseudoterminal of the target (credentials(7)).
struct TerminalSession {
  pid_t leader = 0;
  pid_t foreground_group = 0;  // may have ended
};

// Precondition: parents come before their children; the first task is the root. kRefused, naming
// the task, for a history this build can't repeat. Pure.
Result<TreePlan> plan_tree(std::span<const pb::Task* const> tasks,
                           std::span<const TerminalSession> terminals = {});

}  // namespace cryostat::task
