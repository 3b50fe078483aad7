#include "engine/dump/tree.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <set>

#include "engine/base/span.h"
#include "engine/base/watchdog.h"
#include "engine/dump/cgroup_freezer.h"
#include "engine/dump/children.h"
#include "engine/dump/precheck.h"
#include "engine/kernel/kcmp.h"
#include "engine/procfs/stat.h"
#include "engine/procfs/status.h"

namespace cryostat::dump {

namespace {

// A member that ended and was waited for since it was seen has left the tree.
bool is_gone(const Error& error) { return error.kind() == ErrorKind::kTargetGone; }

pb::Task zombie_image(const procfs::Stat& stat, uint32_t uid) {
  pb::Task task;
  task.set_pid(stat.pid);
  task.set_ppid(stat.ppid);
  task.set_pgid(stat.pgrp);
  task.set_sid(stat.session);
  task.set_exit_signal(static_cast<uint32_t>(stat.exit_signal));
  auto& zombie = *task.mutable_zombie();
  zombie.set_wait_status(stat.exit_status);
  zombie.set_comm(stat.comm);
  zombie.set_uid(uid);
  return task;
}

// Of a frozen task /proc tells no state but that it sleeps.
bool is_in_stop(const TaskHandle& task) {
  const auto where = task.proc().read("wchan");
  return where && where->find("signal_stop") != std::string::npos;
}

// Not to be stopped: a thread that waits in vfork(2) until its child has memory of its own.
std::optional<HostPid> vfork_child(const TaskHandle& parent) {
  const auto children = children_of(parent);
  if (!children) return std::nullopt;
  for (const HostPid child : *children) {
    const auto same =
        kernel::kcmp(Tid(parent.pid().value), Tid(child.value), kernel::KcmpType::kVm);
    if (same && *same == kernel::KcmpOrder::kEqual) return child;
  }
  return std::nullopt;
}

Result<void> freeze_or_explain(TaskDump& task, const Deadline& deadline, const StopRequest& stop) {
  auto frozen = task.freeze(deadline, stop);
  if (frozen || frozen.error().kind() != ErrorKind::kFailed || !deadline.expired()) return frozen;
  const auto child = vfork_child(task.handle());
  if (!child) return frozen;
  return fail(ErrorKind::kRefused,
              fmt::format("pid {}: seems to wait in vfork(2) for pid {}, which has its memory and "
                          "has not called execve(2): that can't be checkpointed",
                          task.pid().value, child->value));
}

}  // namespace

Result<Tree> Tree::open(HostPid root) {
  Tree tree;
  tree.live_.push_back(std::make_unique<TaskDump>(TRY(TaskHandle::open(root))));
  return tree;
}

std::vector<const TaskHandle*> Tree::handles() const {
  std::vector<const TaskHandle*> handles;
  for (const auto& task : live_) handles.push_back(&task->handle());
  return handles;
}

std::vector<const TaskHandle*> Tree::known() const {
  std::vector<const TaskHandle*> known = handles();
  for (const auto& candidate : candidates_) known.push_back(&candidate->handle());
  return known;
}

size_t Tree::thread_count() const {
  size_t count = 0;
  for (const auto& task : live_) count += task->seized().threads().size();
  return count;
}

Result<void> Tree::prepare() {
  last_pid_ = TRY(last_allocated_pid());
  root().sample_sleeps();
  std::vector<HostPid> next = TRY(children_of(root().handle()));
  std::set<pid_t> seen;
  while (!next.empty()) {
    const HostPid pid = next.back();
    next.pop_back();
    if (!seen.insert(pid.value).second) continue;
    auto handle = TaskHandle::open(pid);
    if (!handle) continue;  // the freeze will tell
    const auto children = children_of(*handle);
    if (children) next.insert(next.end(), children->begin(), children->end());
    candidates_.push_back(std::make_unique<TaskDump>(std::move(*handle)));
    candidates_.back()->sample_sleeps();
  }
  return {};
}

// Neither did anybody fork since prepare(), nor had the root any children then.
Result<bool> Tree::nobody_came() const {
  return candidates_.empty() && TRY(last_allocated_pid()) == last_pid_;
}

Result<bool> Tree::add_zombie(const TaskHandle& member, Refusals& refusals) {
  const procfs::Stat stat = TRY(procfs::parse_stat(TRY(member.proc().read("stat"))));
  if (stat.state != 'Z') return false;
  const procfs::Status status = TRY(procfs::parse_status(TRY(member.proc().read("status"))));
  if (status.threads > 1) {
    refusals.add(member.pid(), "",
                 fmt::format("its main thread has exited while {} others go on; that can't be "
                             "checkpointed",
                             status.threads - 1));
  }
  zombies_.push_back(zombie_image(stat, status.uid.real));
  return true;
}

Result<void> Tree::freeze_member(HostPid pid, const Deadline& deadline, const StopRequest& stop,
                                 Refusals& refusals) {
  const auto known =
      std::find_if(candidates_.begin(), candidates_.end(),
                   [pid](const auto& candidate) { return candidate && candidate->pid() == pid; });
  std::unique_ptr<TaskDump> member;
  if (known != candidates_.end()) {
    member = std::move(*known);
    candidates_.erase(known);
  }
  for (int attempt = 0; attempt < 2; ++attempt) {
    if (!member) member = std::make_unique<TaskDump>(TRY(TaskHandle::open(pid)));
    if (TRY(add_zombie(member->handle(), refusals))) return {};
    auto frozen = freeze_or_explain(*member, deadline, stop);
    if (frozen.has_value()) {
      TRY(check_member(member->handle(), refusals));
      live_.push_back(std::move(member));
      return {};
    }
    if (!is_gone(frozen.error())) return frozen;
    // It has just ended, or its number belongs to another one by now.
    member.reset();
  }
  return fail(ErrorKind::kTargetGone, fmt::format("pid {} has gone", pid.value));
}

std::set<pid_t> Tree::stopped_members() const {
  std::set<pid_t> stopped;
  for (const TaskHandle* member : known()) {
    const auto text = member->proc().read("stat");
    const auto stat = text ? procfs::parse_stat(*text) : tl::unexpected(text.error());
    if (stat && stat->state == 'T') stopped.insert(member->pid().value);
  }
  return stopped;
}

// Everybody who can be found while nobody runs, but for tasks in a job-control stop: those are not
// going to fork, and seizing one waits until it has gone over into a ptrace stop, which it can't
// while it is frozen (version 1). What ends meanwhile is met again later.
Result<void> Tree::begin_freeze(const std::set<pid_t>& stopped) {
  const auto begin = [&](TaskDump& task) -> Result<void> {
    if (stopped.contains(task.pid().value) || is_in_stop(task.handle())) return {};
    return task.begin_freeze();
  };
  TRY(begin(root()));
  std::vector<HostPid> next = TRY(children_of(root().handle()));
  while (!next.empty()) {
    const HostPid pid = next.back();
    next.pop_back();
    auto known = std::ranges::find_if(
        candidates_, [pid](const auto& candidate) { return candidate->pid() == pid; });
    if (known == candidates_.end()) {
      auto handle = TaskHandle::open(pid);
      if (!handle) continue;
      candidates_.push_back(std::make_unique<TaskDump>(std::move(*handle)));
      known = candidates_.end() - 1;
    }
    const auto begun = begin(**known);
    if (!begun && !is_gone(begun.error())) return begun;
    const auto children = children_of((*known)->handle());
    if (children) next.insert(next.end(), children->begin(), children->end());
  }
  return {};
}

Result<void> Tree::freeze(const Deadline& deadline, const StopRequest& stop, CgroupFreezer* freezer,
                          Refusals& refusals) {
  if (freezer != nullptr) {
    const std::set<pid_t> stopped = stopped_members();
    TRY(freezer->freeze(deadline, stop));
    Result<void> begun;
    {
      // Should a task be missed that seizing has to wait for.
      const Watchdog thaw_in_time(deadline, [freezer] { (void)freezer->thaw(); });
      begun = begin_freeze(stopped);
    }
    TRY(freezer->thaw());
    TRY(begun);
  }
  TRY(freeze_or_explain(root(), deadline, stop));
  if (!TRY(nobody_came())) TRY(freeze_members(deadline, stop, refusals));
  return find_sharing();
}

Result<void> Tree::find_sharing() {
  sharing_.emplace(TRY(task::TaskSharing::find(handles())));
  std::vector<size_t> numbers(live_.size());
  for (size_t i = 0; i < live_.size(); ++i) {
    const size_t leader = sharing_->leader(task::Resource::kAddressSpace, i);
    if (leader == i) {
      numbers[i] = spaces_.size();
      spaces_.push_back({live_[i].get(), {}});
      leaders_.push_back(live_[i].get());
    } else {
      spaces_[numbers[leader]].sharers.push_back(live_[i].get());
    }
  }
  std::ranges::sort(leaders_);
  return {};
}

bool Tree::leads_space(const TaskDump& task) const {
  return std::ranges::binary_search(leaders_, &task);
}

Result<void> Tree::freeze_members(const Deadline& deadline, const StopRequest& stop,
                                  Refusals& refusals) {
  std::set<pid_t> known;
  for (bool grown = true; grown;) {
    grown = false;
    for (size_t i = 0; i < live_.size(); ++i) {
      for (const HostPid child : TRY(children_of(live_[i]->handle()))) {
        TRY(stop.check());
        if (known.contains(child.value)) continue;
        const auto frozen = freeze_member(child, deadline, stop, refusals);
        if (!frozen && is_gone(frozen.error())) continue;
        TRY_IN(frozen, fmt::format("freeze pid {}", child.value));
        known.insert(child.value);
        grown = true;
      }
    }
  }
  candidates_.clear();
  return {};
}

}  // namespace cryostat::dump
