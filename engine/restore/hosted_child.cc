#include "engine/restore/hosted_child.h"

#include <signal.h>
#include <unistd.h>

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

// Numbers below belong to the target now: only service descriptors are kept.
Result<void> move_descriptors(ChildChannel& channel, const HostedPlan& plan,
                              ServiceFds& service_fds) {
  // The log's descriptor is about to be closed and its number taken by one of the target's.
  log::configure(-1, log::Level::kOff);
  const int channel_fd = TRY(service_fds.adopt(channel.take_fd()));
  channel.replace_fd(UniqueFd(channel_fd));
  for (int* kept : plan.keep_fds) {
    if (*kept >= 0) *kept = TRY(service_fds.adopt_copy(*kept));
  }
  return service_fds.close_all_but_service();
}

Result<Launch> prepare(ChildChannel& channel, const HostedPlan& plan) {
  ServiceFds service_fds = TRY(ServiceFds::create(plan.target_fds));
  TRY(move_descriptors(channel, plan, service_fds));
  ChildContext context{service_fds};
  for (const HostedStep& step : plan.steps) TRY_IN(step.run(context), step.name);
  WireArena arena;
  (void)arena.reserve<wire::RestorerPlan>(1);
  wire::RestorerPlan wire_plan;
  TRY_IN(plan.fill_plan(context, arena, wire_plan), "plan the restore");
  TRY(service_fds.close_others());
  return prepare_launch(plan, context, arena, wire_plan);
}

[[noreturn]] void live(ChildChannel& channel, const HostedTree& tree, size_t birth);

Result<Launch> be_born_and_prepare(ChildChannel& channel, const HostedTree& tree, size_t birth) {
  TRY(be_born(tree.births, birth, [&](size_t other) { live(channel, tree, other); }));
  return prepare(channel, tree.plans[tree.births.plan.births[birth].task]);
}

void live(ChildChannel& channel, const HostedTree& tree, size_t birth) {
  Result<Launch> launch = be_born_and_prepare(channel, tree, birth);
  if (!launch.has_value()) {
    Error error = std::move(launch).error();
    const pid_t pid = tree.births.plan.births[birth].pid;
    if (tree.live_tasks > 1) std::move(error).in("pid " + std::to_string(pid));
    channel.send_error(error);
    _exit(1);
  }
  launch->report.pid = tree.births.plan.births[birth].pid;
  const Result<void> sent = channel.send_ready(launch->report);
  // The number stays open: the blob closes all service descriptors.
  (void)channel.take_fd().release();
  if (!sent.has_value()) _exit(1);
  // Only now: the stops of a task in the blob are not for those who wait for the others' births.
  tree.births.rendezvous.arrive(Rendezvous::Point::kReady, tree.live_tasks + 1);
  enter_blob(*launch);
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
