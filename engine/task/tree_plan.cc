#include "engine/task/tree_plan.h"

#include <fmt/format.h>
#include <linux/sched.h>

#include <algorithm>
#include <map>
#include <optional>

#include "engine/task/shared_resources.h"
#include "proto/task.pb.h"

namespace cryostat::task {

namespace {

// Session 0 stands for the one of cr-restore.
constexpr pid_t kOuterSession = 0;

class Planner {
 public:
  Planner(std::span<const pb::Task* const> tasks, std::span<const TerminalSession> terminals)
      : tasks_(tasks), terminals_(terminals) {}

  Result<TreePlan> run() {
    TRY(index_tasks());
    find_needs();
    for (size_t i = 0; i < tasks_.size(); ++i) {
      TRY(place(i));
      TRY(plan_group(i));
    }
    for (const TerminalSession& terminal : terminals_) TRY(plan_terminal(terminal));
    TRY(check_births());
    return std::move(plan_);
  }

 private:
  Result<void> index_tasks();
  void find_needs();
  Result<void> place(size_t index);
  Result<void> place_below(size_t index, size_t parent);
  Result<void> place_sharer(size_t index, size_t parent);
  bool put_below(size_t index, size_t creator);
  Result<void> check_births() const;
  std::optional<size_t> heir_below(size_t parent) const;
  bool put_below_ended(size_t index, size_t parent);
  Result<size_t> session_placeholder(size_t index, size_t parent, pid_t session);
  Result<void> plan_group(size_t index);
  void add_group_placeholder(pid_t group, size_t parent);
  Result<void> plan_terminal(const TerminalSession& terminal);
  size_t add_placeholder(pid_t pid);

  const pb::Task& root() const { return *tasks_.front(); }
  // The session a task is to have.
  pid_t session(size_t index) const {
    const pb::Task& task = *tasks_[index];
    if (task.outside_session()) return kOuterSession;
    const bool of_root = task.sid() == root().pid();
    return of_root && root().has_controlling_terminal() ? kOuterSession : task.sid();
  }
  bool leads(size_t index) const { return session(index) == tasks_[index]->pid(); }

  std::span<const pb::Task* const> tasks_;
  std::span<const TerminalSession> terminals_;
  TreePlan plan_;
  std::vector<uint64_t> joined_;  // of each task: what one before it has too
  std::map<pid_t, size_t> by_pid_;
  std::vector<size_t> parents_;  // of each task but the root
  // The session a task must be born into; none: any will do.
  std::vector<std::optional<pid_t>> needs_;
  std::map<pid_t, std::pair<size_t, size_t>> placeholders_;  // by number: birth, parent
};

Result<void> Planner::index_tasks() {
  plan_.births.resize(tasks_.size());
  joined_ = joined_resources(tasks_);
  parents_.assign(tasks_.size(), 0);
  for (size_t i = 0; i < tasks_.size(); ++i) {
    const pb::Task& task = *tasks_[i];
    plan_.births[i].pid = task.pid();
    plan_.births[i].task = i;
    plan_.births[i].leads_session = leads(i);
    if (!by_pid_.emplace(task.pid(), i).second)
      return fail(ErrorKind::kImages, fmt::format("pid {} twice", task.pid()));
    if (i == 0) continue;
    const auto parent = by_pid_.find(task.ppid());
    if (parent == by_pid_.end() || tasks_[parent->second]->has_zombie())
      return fail(ErrorKind::kImages,
                  fmt::format("pid {}: its parent {} is not there", task.pid(), task.ppid()));
    parents_[i] = parent->second;
    if (task.has_zombie()) plan_.births[parent->second].zombies.push_back(i);
  }
  return {};
}

// A session leader was born into another session, its parent's; that matters if it has a child from
// that time. Children come after their parents: backwards, each is known before its parent.
void Planner::find_needs() {
  needs_.assign(tasks_.size(), std::nullopt);
  for (size_t i = tasks_.size(); i-- > 0;) {
    if (!leads(i)) needs_[i] = session(i);
    if (i == 0 || !needs_[i]) continue;
    const size_t parent = parents_[i];
    const pid_t before = parent == 0 ? kOuterSession : session(parents_[parent]);
    if (leads(parent) && *needs_[i] == before) needs_[parent] = before;
  }
}

size_t Planner::add_placeholder(pid_t pid) {
  plan_.births.emplace_back();
  plan_.births.back().pid = pid;
  return plan_.births.size() - 1;
}

// The root is born by cr-restore, into its session.
Result<void> Planner::place(size_t index) {
  if (index != 0) return place_below(index, parents_[index]);
  if (needs_[0] && *needs_[0] != kOuterSession) {
    plan_.root_session = *needs_[0];
  }
  return {};
}

Result<size_t> Planner::session_placeholder(size_t index, size_t parent, pid_t session) {
  const auto known = placeholders_.find(session);
  if (known != placeholders_.end()) {
    if (known->second.second == parent) return known->second.first;
    return fail(
        ErrorKind::kRefused,
        fmt::format("pid {}: session {}, whose leader has ended, has members with different "
                    "parents outside of it: that can't be restored yet",
                    tasks_[index]->pid(), session));
  }
  const size_t birth = add_placeholder(session);
  plan_.births[birth].leads_session = true;
  plan_.births[parent].after_session.push_back(birth);
  plan_.births[parent].placeholders.push_back(birth);
  placeholders_[session] = {birth, parent};
  return birth;
}

// False when the creator is never in a session that the task can be born into.
bool Planner::put_below(size_t index, size_t creator) {
  Birth& above = plan_.births[creator];
  const auto need = needs_[index];
  if (!need || *need == session(creator)) {
    above.after_session.push_back(index);
    return true;
  }
  if (!leads(creator) || needs_[creator] != need) return false;
  above.before_session.push_back(index);
  return true;
}

// By its parent or the first sibling that has all it is to share.
Result<void> Planner::place_sharer(size_t index, size_t parent) {
  const uint64_t wanted = joined_[index];
  Birth& birth = plan_.births[index];
  for (size_t creator = parent; creator < index; ++creator) {
    if (creator != parent && parents_[creator] != parent) continue;
    const uint64_t common = common_resources(*tasks_[creator], *tasks_[index]);
    if ((common & wanted) != wanted || !put_below(index, creator)) continue;
    if ((common & CLONE_SIGHAND) != 0 && (common & CLONE_VM) == 0)
      return fail(ErrorKind::kImages, fmt::format("pid {}: shares signal handlers without memory",
                                                  tasks_[index]->pid()));
    birth.share = common;
    birth.by_sibling = creator != parent;
    return {};
  }
  return fail(ErrorKind::kRefused,
              fmt::format("pid {}: shares its {} with tasks of which none that could fork it, its "
                          "parent or an older sibling, has all of that: that can't be restored yet",
                          tasks_[index]->pid(), resource_names(wanted)));
}

// Who is to share with a sibling may have to be forked by it and to fork it.
Result<void> Planner::check_births() const {
  std::vector<size_t> next = {0};
  std::vector<bool> born(plan_.births.size());
  while (!next.empty()) {
    const size_t index = next.back();
    next.pop_back();
    born[index] = true;
    const Birth& birth = plan_.births[index];
    next.insert(next.end(), birth.before_session.begin(), birth.before_session.end());
    next.insert(next.end(), birth.after_session.begin(), birth.after_session.end());
  }
  const auto unborn = std::ranges::find(born, false);
  if (unborn == born.end()) return {};
  return fail(ErrorKind::kRefused,
              fmt::format("pid {}: its session and what it shares with a sibling can't both be "
                          "restored yet",
                          plan_.births[static_cast<size_t>(unborn - born.begin())].pid));
}

// Who gets the orphans of a child of `parent` that ends: the nearest subreaper (prctl(2)).
std::optional<size_t> Planner::heir_below(size_t parent) const {
  for (size_t heir = parent;; heir = parents_[heir]) {
    if (tasks_[heir]->child_subreaper()) return heir;
    if (heir == 0) return std::nullopt;
  }
}

// By the leader of its session, a zombie or a placeholder, which leaves it to its parent when it
// ends.
bool Planner::put_below_ended(size_t index, size_t parent) {
  const pid_t session = *needs_[index];
  const auto leader = by_pid_.find(session);
  if (leader != by_pid_.end()) {
    const size_t zombie = leader->second;
    if (!tasks_[zombie]->has_zombie() || heir_below(parents_[zombie]) != parent) return false;
    plan_.births[zombie].after_session.push_back(index);
    return true;
  }
  const auto placeholder = placeholders_.find(session);
  if (placeholder == placeholders_.end()) return false;
  const auto [birth, creator] = placeholder->second;
  if (creator == parent || !plan_.births[birth].leads_session || heir_below(creator) != parent)
    return false;
  plan_.births[birth].after_session.push_back(index);
  return true;
}

Result<void> Planner::place_below(size_t index, size_t parent) {
  if (joined_[index] != 0) return place_sharer(index, parent);
  if (put_below(index, parent) || put_below_ended(index, parent)) return {};
  const auto need = needs_[index];
  const auto leader = by_pid_.find(*need);
  if (*need == kOuterSession || (leader != by_pid_.end() && parents_[leader->second] != parent) ||
      (leader != by_pid_.end() && leader->second == 0)) {
    return fail(ErrorKind::kRefused,
                fmt::format("pid {}: its parent {} is not in its session {} and has no child that "
                            "leads it: that can't be restored yet",
                            tasks_[index]->pid(), tasks_[parent]->pid(), *need));
  }
  const size_t creator =
      leader != by_pid_.end() ? leader->second : TRY(session_placeholder(index, parent, *need));
  plan_.births[index].by_sibling = true;
  plan_.births[creator].after_session.push_back(index);
  return {};
}

Result<void> Planner::plan_group(size_t index) {
  const pb::Task& task = *tasks_[index];
  Birth& birth = plan_.births[index];
  // A member of somebody else's group stays in that of cr-restore.
  if (task.outside_group()) {
    birth.group = Birth::kOutside;
    return {};
  }
  // Whoever leads a session leads the group of that number for good.
  if (birth.leads_session) return {};
  birth.group = task.pgid();
  if (const auto leader = by_pid_.find(task.pgid()); leader != by_pid_.end()) {
    Birth& leading = plan_.births[leader->second];
    leading.leaves_group = !leading.leads_session &&
                           tasks_[leader->second]->pgid() != task.pgid() &&
                           !tasks_[leader->second]->outside_group();
    plan_.has_leavers |= leading.leaves_group;
  }
  if (by_pid_.contains(task.pgid()) || placeholders_.contains(task.pgid())) return {};
  if (task.pgid() == plan_.root_session) return {};
  add_group_placeholder(task.pgid(), index);
  return {};
}

void Planner::add_group_placeholder(pid_t group, size_t parent) {
  const size_t placeholder = add_placeholder(group);
  plan_.births[placeholder].group = group;
  plan_.births[parent].after_session.push_back(placeholder);
  plan_.births[parent].placeholders.push_back(placeholder);
  placeholders_[group] = {placeholder, parent};
}

// The foreground group may have ended: a shell has not looked yet, or the terminal is nobody's.
Result<void> Planner::plan_terminal(const TerminalSession& terminal) {
  const auto leader = by_pid_.find(terminal.leader);
  if (leader == by_pid_.end() || !plan_.births[leader->second].leads_session)
    return fail(ErrorKind::kImages,
                fmt::format("a terminal controls session {}, which nobody leads", terminal.leader));
  for (size_t i = 0; i < tasks_.size(); ++i)
    plan_.births[i].gives_up_terminal =
        plan_.births[i].gives_up_terminal ||
        (tasks_[i]->sid() == terminal.leader && i != leader->second &&
         tasks_[i]->controlling_pty_id() == 0);
  const pid_t group = terminal.foreground_group;
  const auto is_in_group = [group](const pb::Task* task) { return task->pgid() == group; };
  if (group == 0 || placeholders_.contains(group) || std::ranges::any_of(tasks_, is_in_group))
    return {};
  if (!by_pid_.contains(group)) add_group_placeholder(group, leader->second);
  return {};
}

}  // namespace

Result<TreePlan> plan_tree(std::span<const pb::Task* const> tasks,
                           std::span<const TerminalSession> terminals) {
  return Planner(tasks, terminals).run();
}

}  // namespace cryostat::task
