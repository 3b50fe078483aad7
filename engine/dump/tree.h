// The tree of tasks that is dumped: a root and everything below it, found and frozen until nothing
// new appears.
#pragma once

#include <memory>
#include <optional>
#include <set>
#include <vector>

#include "engine/base/deadline.h"
#include "engine/base/error.h"
#include "engine/base/refusals.h"
#include "engine/dump/task_dump.h"
#include "engine/image/task_image.h"
#include "engine/task/task_sharing.h"

namespace cryostat::dump {

class CgroupFreezer;

class Tree {
 public:
  // Opens the root. kTargetGone.
  static Result<Tree> open(HostPid root);

  TaskDump& root() { return *live_.front(); }
  // Live tasks, parents first.
  const std::vector<std::unique_ptr<TaskDump>>& live() const { return live_; }
  // Tasks that have ended and are waited for by a live one.
  std::vector<pb::Task>& zombies() { return zombies_; }
  std::vector<const TaskHandle*> handles() const;
  // The root and the members found by prepare(), which may be gone by now.
  std::vector<const TaskHandle*> known() const;
  size_t thread_count() const;

  // An address space: the first task that has it, whose task is to save it, and the others
  // (CLONE_VM).
  struct Space {
    TaskDump* task = nullptr;
    std::vector<TaskDump*> sharers;
  };
  // Once the tree is frozen: its address spaces, and what else the live tasks have in common.
  const std::vector<Space>& spaces() const { return spaces_; }
  bool leads_space(const TaskDump& task) const;
  // The leader is the first to be infected.
  StubRoom stub_room(const TaskDump& task) const {
    return leads_space(task) ? StubRoom::kAny : StubRoom::kUnused;
  }
  const task::TaskSharing& sharing() const { return *sharing_; }

  // Before the freeze: finds the members there are by now, so that what is done for each of them
  // beforehand can be. They may come and go until the freeze.
  Result<void> prepare();
  // Stops every task below the root, parents first, until no new one appears: a stopped task has no
  // new children but those it inherits from one that ended meanwhile. Errors: the ones of
  // SeizedTask::freeze(); kFailed at the deadline, with what kept it from ending. What was stopped
  // goes on when the tree is destroyed.
  // `freezer`: of a control group that holds the members, or nullptr; it is thawed afterwards.
  Result<void> freeze(const Deadline& deadline, const StopRequest& stop, CgroupFreezer* freezer,
                      Refusals& refusals);

 private:
  Tree() = default;
  Result<void> freeze_member(HostPid pid, const Deadline& deadline, const StopRequest& stop,
                             Refusals& refusals);
  Result<bool> add_zombie(const TaskHandle& member, Refusals& refusals);
  Result<bool> nobody_came() const;
  std::set<pid_t> stopped_members() const;
  Result<void> begin_freeze(const std::set<pid_t>& stopped);
  Result<void> freeze_members(const Deadline& deadline, const StopRequest& stop,
                              Refusals& refusals);
  Result<void> find_sharing();

  std::vector<std::unique_ptr<TaskDump>> live_;
  std::vector<std::unique_ptr<TaskDump>> candidates_;  // found before the freeze, not yet frozen
  std::vector<pb::Task> zombies_;
  std::optional<task::TaskSharing> sharing_;
  std::vector<Space> spaces_;
  std::vector<const TaskDump*> leaders_;  // of the spaces, by address
  pid_t last_pid_ = 0;  // the number handed out last, before the children were looked up
};

}  // namespace cryostat::dump
