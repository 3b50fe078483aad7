// Who forks whom, for histories with sessions and groups.
#include "engine/task/tree_plan.h"

#include <linux/sched.h>

#include <deque>

#include "proto/task.pb.h"
#include "tests/support/catch.h"

namespace cryostat::task {
namespace {

// pid, parent, session, group.
class Family {
 public:
  Family& add(pid_t pid, pid_t parent, pid_t session, pid_t group) {
    pb::Task& task = tasks_.emplace_back();
    task.set_pid(pid);
    task.set_ppid(parent);
    task.set_sid(session);
    task.set_pgid(group);
    return *this;
  }
  pb::Task& last() { return tasks_.back(); }
  Result<TreePlan> plan(std::span<const TerminalSession> terminals = {}) const {
    std::vector<const pb::Task*> pointers;
    for (const pb::Task& task : tasks_) pointers.push_back(&task);
    return plan_tree(pointers, terminals);
  }

 private:
  std::deque<pb::Task> tasks_;
};

using Births = std::vector<size_t>;

TEST_CASE("children of a session leader are born after its setsid, older ones before") {
  // 30 is from the time before 20 led a session: it is in 10's.
  const auto plan = Family()
                        .add(10, 1, 10, 10)
                        .add(20, 10, 20, 20)
                        .add(30, 20, 10, 10)
                        .add(40, 20, 20, 40)
                        .plan();
  REQUIRE(plan.has_value());
  CHECK(plan->births[0].after_session == Births{1});
  CHECK(plan->births[1].before_session == Births{2});
  CHECK(plan->births[1].after_session == Births{3});
  CHECK(plan->births[3].group == 40);
  CHECK(plan->births.size() == 4);
}

TEST_CASE("a member whose parent is outside of its session is forked by the leader beside it") {
  const auto plan = Family().add(10, 1, 10, 10).add(20, 10, 20, 20).add(30, 10, 20, 20).plan();
  REQUIRE(plan.has_value());
  CHECK(plan->births[0].after_session == Births{1});
  CHECK(plan->births[1].after_session == Births{2});
  CHECK(plan->births[2].by_sibling);
}

TEST_CASE("a leader that has ended has a placeholder") {
  const auto plan = Family().add(10, 1, 10, 10).add(30, 10, 20, 20).add(40, 10, 20, 20).plan();
  REQUIRE(plan.has_value());
  REQUIRE(plan->births.size() == 4);
  const Birth& placeholder = plan->births[3];
  CHECK(placeholder.is_placeholder());
  CHECK(placeholder.pid == 20);
  CHECK(placeholder.leads_session);
  CHECK(placeholder.after_session == Births{1, 2});
  CHECK(plan->births[0].placeholders == Births{3});
}

TEST_CASE("a group whose leader has ended has a placeholder in its session") {
  const auto plan = Family().add(10, 1, 10, 10).add(30, 10, 10, 25).add(40, 10, 10, 25).plan();
  REQUIRE(plan.has_value());
  REQUIRE(plan->births.size() == 4);
  CHECK(plan->births[3].pid == 25);
  CHECK(plan->births[3].group == 25);
  CHECK(plan->births[1].placeholders == Births{3});
  CHECK(plan->births[2].group == 25);
}

TEST_CASE("a root whose session leader has ended is forked by a placeholder") {
  const auto plan = Family().add(10, 1, 5, 5).add(20, 10, 5, 5).plan();
  REQUIRE(plan.has_value());
  CHECK(plan->root_session == 5);
  CHECK(plan->births.size() == 2);
}

TEST_CASE("a foreground group that has ended has a placeholder in its session") {
  Family family;
  family.add(10, 1, 10, 10).add(20, 10, 20, 20).add(30, 20, 20, 20);
  const TerminalSession terminal[] = {{20, 25}};
  const auto plan = family.plan(terminal);
  REQUIRE(plan.has_value());
  REQUIRE(plan->births.size() == 4);
  CHECK(plan->births[3].pid == 25);
  CHECK(plan->births[3].group == 25);
  CHECK(plan->births[1].placeholders == Births{3});
  CHECK_FALSE(plan->births[1].gives_up_terminal);
  CHECK(plan->births[2].gives_up_terminal);
  const TerminalSession leaderless[] = {{30, 30}};
  CHECK(family.plan(leaderless).error().kind() == ErrorKind::kImages);
}

TEST_CASE("what tasks share they get from who forks them") {
  Family family;
  family.add(10, 1, 10, 10).last().set_address_space_id(1);
  family.add(20, 10, 10, 10).last().set_address_space_id(1);
  family.last().set_sighand_id(1);
  family.add(30, 10, 10, 10).last().set_address_space_id(1);
  family.last().set_sighand_id(1);
  family.last().set_fs_id(1);
  family.add(40, 10, 10, 10).last().set_fs_id(1);
  const auto plan = family.plan();
  REQUIRE(plan.has_value());
  CHECK(plan->births[0].after_session == Births{1});
  CHECK(plan->births[1].share == CLONE_VM);
  // 30 has the signal handlers of 20, so 20 forks it beside itself.
  CHECK(plan->births[1].after_session == Births{2});
  CHECK(plan->births[2].share == (CLONE_VM | CLONE_SIGHAND));
  CHECK(plan->births[2].by_sibling);
  CHECK(plan->births[2].after_session == Births{3});
  CHECK(plan->births[3].share == CLONE_FS);
}

TEST_CASE("what cousins share is refused by name") {
  Family family;
  family.add(10, 1, 10, 10).add(20, 10, 10, 10).add(30, 10, 10, 10);
  family.add(40, 20, 10, 10).last().set_address_space_id(1);
  family.add(50, 30, 10, 10).last().set_address_space_id(1);
  const auto plan = family.plan();
  REQUIRE_FALSE(plan.has_value());
  CHECK(plan.error().kind() == ErrorKind::kRefused);
  CHECK(plan.error().message().find("pid 50: shares its address space") != std::string::npos);
}

TEST_CASE("a process that made a group and left it does both again") {
  const auto plan = Family().add(10, 1, 10, 10).add(20, 10, 10, 10).add(30, 10, 10, 20).plan();
  REQUIRE(plan.has_value());
  CHECK(plan->has_leavers);
  CHECK(plan->births[1].leaves_group);
  CHECK(plan->births[1].group == 10);
  CHECK(plan->births[2].group == 20);
  CHECK(plan->births.size() == 3);
}

TEST_CASE("a zombie that leads a session forks what the nearest subreaper has adopted") {
  Family family;
  family.add(10, 1, 10, 10).last().set_child_subreaper(true);
  family.add(20, 10, 10, 10);
  family.add(30, 20, 30, 30).last().mutable_zombie();
  family.add(40, 10, 30, 30);
  const auto plan = family.plan();
  REQUIRE(plan.has_value());
  CHECK(plan->births[2].after_session == Births{3});
  CHECK_FALSE(plan->births[3].by_sibling);
}

TEST_CASE("what a subreaper further down would adopt is refused") {
  Family family;
  family.add(10, 1, 10, 10).last().set_child_subreaper(true);
  family.add(20, 10, 10, 10).last().set_child_subreaper(true);
  family.add(30, 20, 30, 30).last().mutable_zombie();
  family.add(40, 10, 30, 30);
  CHECK(family.plan().error().kind() == ErrorKind::kRefused);
}

TEST_CASE("members of an ended session with different parents are left by its placeholder") {
  Family family;
  family.add(10, 1, 10, 10).last().set_child_subreaper(true);
  family.add(20, 10, 10, 10);
  family.add(30, 20, 25, 25);
  family.add(40, 10, 25, 25);
  const auto plan = family.plan();
  REQUIRE(plan.has_value());
  REQUIRE(plan->births.size() == 5);
  CHECK(plan->births[4].pid == 25);
  CHECK(plan->births[4].after_session == Births{2, 3});
  CHECK(plan->births[2].by_sibling);
  CHECK_FALSE(plan->births[3].by_sibling);
}

TEST_CASE("a history that can't be repeated is refused by name") {
  // 40's session leader 30 is a grandchild of 40's parent.
  const auto plan = Family()
                        .add(10, 1, 10, 10)
                        .add(20, 10, 10, 10)
                        .add(30, 20, 30, 30)
                        .add(40, 10, 30, 30)
                        .plan();
  REQUIRE_FALSE(plan.has_value());
  CHECK(plan.error().kind() == ErrorKind::kRefused);
  CHECK(plan.error().message().find("pid 40") != std::string::npos);
}

TEST_CASE("a tree without its parents is an error of the images") {
  CHECK(Family().add(10, 1, 10, 10).add(30, 20, 10, 10).plan().error().kind() ==
        ErrorKind::kImages);
}

}  // namespace
}  // namespace cryostat::task
