#include "engine/restore/hosted_child.h"

#include <linux/sched.h>
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <optional>

#include "engine/base/log.h"
#include "engine/restore/restorer_launch.h"

namespace cryostat::restore {
namespace {

// Every signal but SIGTRAP waits: what is sent to the new task meanwhile is for the program it
// becomes. A trap that is blocked would make the kernel reset the handler of SIGTRAP.
Result<void> block_signals() {
  sigset_t all;
  sigfillset(&all);
  sigdelset(&all, SIGTRAP);
  if (sigprocmask(SIG_SETMASK, &all, nullptr) != 0) return fail_errno("block signals");
  signal(SIGTRAP, SIG_DFL);
  return {};
}

// A process of the tree on its way to the restorer.
struct Hosted {
  const HostedTree& tree;
  const HostedPlan& plan;
  const SharingRole& role;
  ChildChannel& channel;

  const Rendezvous& rendezvous() const { return tree.births.rendezvous; }
  Rendezvous::Member& words(size_t task) const { return rendezvous().members()[task]; }
};

Result<void> keep_descriptors(const Hosted& child, ServiceFds& service_fds) {
  const int channel_fd = TRY(service_fds.adopt(child.channel.take_fd()));
  child.channel.replace_fd(UniqueFd(channel_fd));
  for (int* kept : child.plan.keep_fds) {
    if (*kept >= 0) *kept = TRY(service_fds.adopt_copy(*kept));
  }
  return {};
}

// Before its creator closes what it does not need itself in the table they have in common.
Result<ServiceFds> keep_in_common_table(const Hosted& child) {
  ServiceFds service_fds = TRY(ServiceFds::create(child.plan.target_fds));
  TRY(keep_descriptors(child, service_fds));
  Rendezvous::Member& words = child.words(child.role.task);
  if (service_fds.numbers().size() > Rendezvous::kMaxKept)
    return fail(ErrorKind::kMachine,
                "a chain of so many checkpoints can't be restored into a descriptor table that "
                "processes share");
  words.kept_count = static_cast<uint32_t>(service_fds.numbers().size());
  std::ranges::copy(service_fds.numbers(), words.kept);
  return service_fds;
}

// Numbers below belong to the target now: only service descriptors are kept.
Result<ServiceFds> take_over_table(const Hosted& child) {
  ServiceFds service_fds = TRY(ServiceFds::create(child.plan.target_fds));
  // The log's descriptor is about to be closed and its number taken by one of the target's.
  log::configure(-1, log::Level::kOff);
  TRY(keep_descriptors(child, service_fds));
  for (const size_t follower : child.role.table.followers) {
    const Rendezvous::Member& words = child.words(follower);
    service_fds.spare({words.kept, words.kept + words.kept_count});
  }
  TRY(service_fds.close_all_but_service());
  return service_fds;
}

// The areas of those who have the same address space, ascending.
Result<void> plan_followers(const Hosted& child, WireArena& arena, wire::RestorerPlan& plan) {
  if (child.role.memory.followers.empty()) return {};
  std::vector<wire::AddressRange> areas;
  for (const size_t follower : child.role.memory.followers) {
    const Rendezvous::Member& words = child.words(follower);
    child.rendezvous().await(words.area_ready, child.role.turn);
    areas.push_back({words.area_start, words.area_end});
  }
  std::ranges::sort(areas, {}, &wire::AddressRange::start);
  plan.followers = arena.append(areas);
  return {};
}

// Tells those who share something with this task, and learns from the leader of its memory.
void announce(const Hosted& child, Launch& launch) {
  Rendezvous::Member& words = child.words(child.role.task);
  LaunchReport& report = launch.report;
  words.area_start = report.area_start;
  words.area_end = report.area_end;
  Rendezvous::signal(words.area_ready);
  if (child.role.follows(child.role.memory)) {
    const Rendezvous::Member& leader = child.words(child.role.memory.leader);
    child.rendezvous().await(leader.launch_ready, child.role.turn);
    report.vdso_start = leader.vdso_start;
    report.vdso_size_bytes = leader.vdso_size_bytes;
    reinterpret_cast<wire::RestorerPlan*>(report.plan)->leader_plan = leader.plan;
  }
  words.vdso_start = report.vdso_start;
  words.vdso_size_bytes = report.vdso_size_bytes;
  words.plan = report.plan;
  Rendezvous::signal(words.launch_ready);
  // Whoever needs a path has used it by then.
  for (const size_t follower : child.role.directories.followers)
    child.rendezvous().await(child.words(follower).launch_ready, child.role.turn);
}

Result<Launch> prepare(const Hosted& child, ServiceFds& service_fds) {
  const HostedPlan& plan = child.plan;
  ChildContext context{service_fds};
  for (const HostedStep& step : plan.steps) TRY_IN(step.run(context), step.name);
  WireArena arena;
  (void)arena.reserve<wire::RestorerPlan>(1);
  wire::RestorerPlan wire_plan;
  TRY_IN(plan.fill_plan(context, arena, wire_plan), "plan the restore");
  if (!child.role.follows(child.role.table)) TRY(service_fds.close_others());
  const bool shares = child.role.turn != Rendezvous::kNoTurn;
  if (shares) Rendezvous::signal(child.words(child.role.task).table_ready);
  TRY(plan_followers(child, arena, wire_plan));
  Launch launch = TRY(prepare_launch(plan, context, arena, wire_plan));
  if (shares) announce(child, launch);
  for (const HostedStep& step : plan.last_steps) TRY_IN(step.run(context), step.name);
  return launch;
}

[[noreturn]] void live(ChildChannel& channel, const HostedTree& tree, size_t birth);

Result<Launch> be_born_and_prepare(ChildChannel& channel, const HostedTree& tree, size_t birth) {
  const task::Birth& own = tree.births.plan.births[birth];
  const auto be = [&](size_t other) { live(channel, tree, other); };
  if (own.is_placeholder() || tree.births.tasks[own.task].task.has_zombie()) {
    TRY(be_born(tree.births, birth, be));
    return fail(ErrorKind::kFailed, "a placeholder or zombie lives on");
  }
  static const SharingRole kAlone;
  const HostedPlan plan = tree.make_plan(own.task);
  const Hosted child{tree, plan, tree.roles.empty() ? kAlone : tree.roles[own.task], channel};
  std::optional<ServiceFds> service_fds;
  if ((own.share & CLONE_FILES) != 0) service_fds.emplace(TRY(keep_in_common_table(child)));
  TRY(be_born(tree.births, birth, be));
  if (!service_fds) service_fds.emplace(TRY(take_over_table(child)));
  return prepare(child, *service_fds);
}

// Becomes what the birth says, in the process that was forked for it.
[[noreturn]] void live_alone(ChildChannel& channel, const HostedTree& tree, size_t birth) {
  const uint32_t turn = tree.births.turn_of(tree.births.plan.births[birth]);
  Result<Launch> launch = be_born_and_prepare(channel, tree, birth);
  if (!launch.has_value()) {
    const pid_t pid = tree.births.plan.births[birth].pid;
    channel.send_error(tree.live_tasks > 1
                           ? std::move(launch).error().in("pid " + std::to_string(pid))
                           : std::move(launch).error());
    _exit(1);
  }
  launch->report.pid = tree.births.plan.births[birth].pid;
  const Result<void> sent = channel.send_ready(launch->report);
  // The number stays open: the blob closes all service descriptors.
  (void)channel.take_fd().release();
  if (!sent.has_value()) _exit(1);
  // Only now: the stops of a task in the blob are not for those who wait for the others' births.
  // Its turn ends for good: nobody is left to run hosted code but for the way into the blob.
  tree.births.rendezvous.give_turn(turn);
  tree.births.rendezvous.arrive(Rendezvous::Point::kReady, tree.live_tasks + 1);
  enter_blob(*launch);
}

void live(ChildChannel& channel, const HostedTree& tree, size_t birth) {
  const task::Birth& own = tree.births.plan.births[birth];
  if ((own.share & CLONE_VM) == 0) tree.births.rendezvous.take_turn(tree.births.turn_of(own));
  if ((own.share & (CLONE_VM | CLONE_FILES)) == 0) live_alone(channel, tree, birth);
  // Neither the object nor the number is left to it.
  Result<ChildChannel> copy = channel.duplicate();
  if (!copy) _exit(1);
  live_alone(*copy, tree, birth);
}

Result<void> begin(ChildChannel& channel) {
  TRY(block_signals());
  return channel.wait_go();
}

}  // namespace

void hosted_child_main(ChildChannel channel, const HostedTree& tree) {
  if (const Result<void> begun = begin(channel); !begun.has_value()) {
    channel.send_error(begun.error());
    _exit(1);
  }
  live(channel, tree, 0);
}

}  // namespace cryostat::restore
