// The first part of a restored process's life: it forks those it is to fork, enters its session and
// process group, and, if it is not to live, ends.
#pragma once

#include <functional>
#include <span>

#include "engine/base/error.h"
#include "engine/files/controlling_terminal.h"
#include "engine/image/task_image.h"
#include "engine/restore/rendezvous.h"
#include "engine/restore/sharing_role.h"
#include "engine/task/tree_plan.h"

namespace cryostat::restore {

struct BirthInputs {
  const task::TreePlan& plan;
  const std::vector<image::TaskImage>& tasks;
  const Rendezvous& rendezvous;
  pid_t outside_group;  // process group of cr-restore
  // Pseudoterminals that control a session of the tree. Those who don't own one close it later.
  std::span<const files::ControllingPty> terminals = {};
  // Of the tasks; empty: none shares anything.
  std::span<const SharingRole> roles = {};
  // Called before the process of a birth forks others, with its index. May be empty.
  std::function<Result<void>(size_t birth)> before_forks = {};
  // Nobody ends or gives up its group or terminal on the way: most have nobody to wait for.
  bool is_plain = false;

  uint32_t turn_of(const task::Birth& birth) const {
    return birth.is_placeholder() || roles.empty() ? Rendezvous::kNoTurn : roles[birth.task].turn;
  }
};

// For BirthInputs::is_plain: there are no placeholders, zombies, controlling terminals, groups that
// somebody leaves, or tasks that share memory or tables.
bool is_plain(const BirthInputs& inputs);

// Runs in the process of `birth` (an index into the plan), every signal but SIGTRAP blocked.
// Returns in a task that is to live, when every other process is in its group, its placeholders are
// gone and its zombies are zombies; in a plain tree others may not even exist. `be` is called in
// each new process and must not return. New processes are traced by who traces this one
// (CLONE_PTRACE). A process with a turn has it then, and one that shares this one's memory runs on
// a stack of its own, while this one waits for its turn.
Result<void> be_born(const BirthInputs& inputs, size_t birth,
                     const std::function<void(size_t birth)>& be);

}  // namespace cryostat::restore
