#include "engine/restore/restore.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <csignal>
#include <map>
#include <optional>
#include <thread>

#include "engine/base/log.h"
#include "engine/base/plan_report.h"
#include "engine/base/span.h"
#include "engine/files/bound_names.h"
#include "engine/files/link_remap.h"
#include "engine/files/restore.h"
#include "engine/files/terminal.h"
#include "engine/image/chain.h"
#include "engine/image/checkpoint_images.h"
#include "engine/image/stage_times.h"
#include "engine/ipc/namespace.h"
#include "engine/ipc/namespace_scope.h"
#include "engine/memory/mapped_file_check.h"
#include "engine/memory/memory_plan.h"
#include "engine/restore/blob_run.h"
#include "engine/restore/create_task.h"
#include "engine/restore/descriptor_room.h"
#include "engine/restore/fill_progress.h"
#include "engine/restore/finish.h"
#include "engine/restore/hosted_plan.h"
#include "engine/restore/huge_heap.h"
#include "engine/restore/machine_check.h"
#include "engine/restore/node_check.h"
#include "engine/restore/object_seals.h"
#include "engine/restore/staging.h"
#include "engine/restore/vdso_move.h"
#include "engine/task/start_state.h"
#include "engine/task/state_plan.h"
#include "engine/task/task_check.h"
#include "engine/task/tree_plan.h"

namespace cryostat::restore {

namespace {

// Names of the stage spans, in order; they become the stages of the statistics.
constexpr std::array kStages = {"read images", "plan",   "create tasks", "hosted children",
                                "restorer",    "finish", "release"};

// From here on the forks cost more than to make them cheap.
constexpr size_t kManyTasks = 32;

// One restore, as its list of stages; what a stage leaves for later ones is a member.
class Restore {
 public:
  Restore(const Options& options, const StopRequest& stop, Progress& progress)
      : options_(options), stop_(stop), progress_(progress), start_ns_(monotonic_ns()) {}

  Result<Outcome> run() {
    TRY(read_images());
    TRY(plan());
    TRY(load_pages());
    if (options_.dry_run) return dry_run_outcome();
    TRY(create_tasks());
    TRY(rebuild());
    TRY(finish());
    TRY(release());
    return outcome();
  }

 private:
  Result<void> read_images();
  Result<void> plan();
  Result<void> plan_task(size_t index, const task::StartState& start, const VdsoChoice& own_vdso);
  Result<Outcome> dry_run_outcome();
  Result<void> create_tasks();
  HostedTree hosted_tree();
  Result<void> rebuild();
  Result<void> finish();
  Result<void> finish_ipc();
  Result<void> release();
  Result<void> load_pages();
  Result<void> verify_pages();
  Result<Outcome> outcome();

  uint64_t page_count() const { return memory::planned_bytes(images_.pagemap) / kPageSize; }
  const image::TaskImage& root() const { return images_.tasks.root(); }
  // The image of a created task.
  const image::TaskImage& image_of(size_t live) const { return images_.tasks.tasks[live_[live]]; }
  CreateOptions::Parent parent_of_root() const;

  const Options& options_;
  const StopRequest& stop_;
  Progress& progress_;
  const uint64_t start_ns_;

  std::optional<image::Chain> chain_;
  image::CheckpointImages images_;
  std::vector<size_t> live_;  // tasks that are no zombies, as indices into the images
  UniqueFd terminal_;
  PlanReport report_;
  task::TreePlan tree_plan_;
  std::vector<VdsoChoice> vdsos_;  // of the tasks; nothing for zombies
  std::optional<files::DescriptionOwners> descriptions_;
  std::optional<ObjectOwners> objects_;
  std::optional<Rendezvous> rendezvous_;
  std::optional<HostedInputs> inputs_;
  std::vector<SharingRole> roles_;
  std::vector<files::ControllingPty> terminals_;
  std::optional<memory::StagedMemory> staged_;
  std::optional<files::BoundNames> socket_names_;
  std::optional<HostedTree> hosted_;
  std::optional<CreatedTree> created_;
  std::optional<ObjectSeals> seals_;
};

std::vector<task::TerminalSession> terminal_sessions(const image::FilesImage& files) {
  std::vector<task::TerminalSession> sessions;
  for (const auto& description : files.descriptions) {
    const auto& state = description.pty().state();
    if (state.session() != 0) sessions.push_back({state.session(), state.foreground_group()});
  }
  return sessions;
}

Result<void> Restore::read_images() {
  const Span span("read images");
  prepare_heap(image::record_bytes(options_.images_dir));
  chain_.emplace(TRY(image::Chain::open(options_.images_dir)));
  images_ = TRY(image::load_images(*chain_));
  const auto& tasks = images_.tasks.tasks;
  for (size_t i = 0; i < tasks.size(); ++i)
    if (!tasks[i].task.has_zombie()) live_.push_back(i);
  log::info("checkpoint {}: pid {}, {} tasks, {} open files, {} pages", options_.images_dir,
            root().task.pid(), tasks.size(), images_.files.descriptions.size(), page_count());
  return stop_.check();
}

Result<void> Restore::plan_task(size_t index, const task::StartState& start,
                                const VdsoChoice& own_vdso) {
  const image::TaskImage& task = images_.tasks.tasks[index];
  task::check_task(task.task, task.threads, start, {.shell_job = options_.shell_job}, report_);
  const auto& space = images_.mm.space(task.task.address_space_id())->space;
  auto choice =
      choose_vdso(own_vdso, space, images_.mm.vdso_image(space), task.threads, options_.vdso);
  if (!choice) {
    report_.missing("vDSO", choice.error());
    return {};
  }
  vdsos_[index] = std::move(*choice);
  report_.ok("vDSO", vdsos_[index].why);
  return {};
}

Result<void> Restore::plan() {
  const Span span("plan");
  if (options_.shell_job) terminal_ = files::find_job_terminal();
  std::vector<const pb::Task*> tasks;
  for (const auto& task : images_.tasks.tasks) tasks.push_back(&task.task);
  tree_plan_ = TRY(task::plan_tree(tasks, terminal_sessions(images_.files)));
  check_machine(chain_->head().manifest(), images_.tasks, tree_plan_, report_);
  const task::StartState start = TRY(task::read_start_state());
  const VdsoChoice own_vdso = TRY(find_own_vdso());
  vdsos_.resize(images_.tasks.tasks.size());
  for (const size_t i : live_) TRY(plan_task(i, start, own_vdso));
  files::check_files(images_.files,
                     {.shell_job = options_.shell_job,
                      .terminal_fd = terminal_.get(),
                      .inherited = options_.inherited},
                     report_);
  TRY(memory::check_mapped_files(images_.mm, report_));
  if (images_.mm.ipc) ipc::check_namespace(*images_.mm.ipc, report_);
  check_nodes(images_, report_);
  descriptions_.emplace(images_.files);
  objects_.emplace(images_, *descriptions_);
  check_descriptor_room(
      images_, *descriptions_, *objects_,
      {chain_->used_pages().size(), options_.inherited.size() + (terminal_ ? 1 : 0)}, report_);
  for (const auto& line : report_.lines()) log::debug("{}", line);
  TRY(report_.check());
  return stop_.check();
}

Result<void> Restore::load_pages() {
  const Span span("unpack");
  return chain_->load_pages(std::max(std::thread::hardware_concurrency(), 1u), stop_);
}

Result<void> Restore::verify_pages() {
  constexpr unsigned kThreads = 2;
  return chain_->verify_pages(kThreads, stop_);
}

Result<Outcome> Restore::dry_run_outcome() {
  TRY(verify_pages());
  report_.ok("page data", std::to_string(page_count()) + " pages, checksums hold");
  Outcome outcome;
  outcome.plan_lines = report_.lines();
  return outcome;
}

// A detached task loses us as its parent at once; one with a parent-death signal would die of it.
CreateOptions::Parent Restore::parent_of_root() const {
  using Parent = CreateOptions::Parent;
  if (options_.sibling) return Parent::kCallersParent;
  const auto wants_signal = [](const pb::Thread& thread) {
    return thread.parent_death_signal() != 0;
  };
  const bool fragile = std::any_of(root().threads.begin(), root().threads.end(), wants_signal);
  return options_.detached && fragile ? Parent::kInit : Parent::kCaller;
}

HostedTree Restore::hosted_tree() {
  HostedTree tree{{tree_plan_, images_.tasks.tasks, *rendezvous_, getpgrp(), terminals_, roles_,
                   [this](size_t birth) { return stage_memory(*inputs_, birth); }},
                  [this](size_t task) { return make_hosted_plan(*inputs_, task, vdsos_[task]); },
                  0,
                  roles_};
  tree.live_tasks = static_cast<uint32_t>(live_.size());
  tree.births.is_plain = inputs_->is_plain = is_plain(tree.births);
  return tree;
}

Result<void> Restore::create_tasks() {
  TRY(options_.scripts.run("pre-restore", 0, stop_));
  const Span span("create tasks");
  roles_ = sharing_roles(images_.tasks);
  const bool shares = std::ranges::any_of(
      roles_, [](const SharingRole& role) { return role.turn != Rendezvous::kNoTurn; });
  std::vector<LentPair> lent_pairs = plan_lent_pairs(images_, *descriptions_, roles_);
  LentConnections connections = plan_lent_connections(images_, *descriptions_, roles_);
  const size_t numbers =
      images_.files.descriptions.size() + 1 + 2 * lent_pairs.size() + connections.words();
  rendezvous_.emplace(
      TRY(Rendezvous::create(numbers, images_.mm.shared.size() + 1, shares ? roles_.size() : 0)));
  connections.prepare(rendezvous_->description_numbers().last(connections.words()));
  socket_names_.emplace(TRY(files::BoundNames::prepare(images_.files)));
  terminals_ = TRY(files::create_controlling_ptys(images_.files));
  std::map<uint32_t, int> pty_masters;
  for (const auto& terminal : terminals_) pty_masters[terminal.pty_id] = terminal.master.get();
  if (live_.size() > 1) staged_.emplace(plan_staging(tree_plan_, images_));
  inputs_.emplace(HostedInputs{
      images_,
      *descriptions_,
      *objects_,
      *rendezvous_,
      static_cast<uint32_t>(live_.size()),
      options_.restore_threads,
      roles_,
      {memory::store_files(*chain_), terminal_.get(), options_.inherited, std::move(pty_masters)},
      staged_ ? &*staged_ : nullptr,
      std::move(lent_pairs),
      std::move(connections),
      socket_names_->room()});

  for (const auto& task : images_.tasks.tasks)
    inputs_->table_leaders.emplace(task.task.descriptor_table_id(), task.task.pid());
  std::optional<ipc::NamespaceScope> namespace_scope;  // the tasks are born in it
  if (images_.mm.ipc) {
    namespace_scope.emplace(TRY(ipc::NamespaceScope::create()));
    TRY_IN(ipc::fill_namespace(*images_.mm.ipc), "IPC namespace");
  }
  hosted_.emplace(hosted_tree());
  const bool many = live_.size() >= kManyTasks;
  if (many) collapse_own_memory();
  bool seccomp = false;
  for (const size_t i : live_)
    seccomp |= task::needs_suspended_seccomp(images_.tasks.tasks[i].threads);
  created_.emplace(TRY(CreatedTree::create({parent_of_root(), seccomp, many}, *hosted_)));
  return {};
}

Result<void> Restore::rebuild() {
  {
    const Span span("hosted children");
    TRY(created_->wait_ready(stop_));
    seals_.emplace(TRY(ObjectSeals::take(images_, *objects_, *rendezvous_)));
    created_->enter_restorer();
  }
  terminals_.clear();  // their owners have them
  const Span span("restorer");
  const auto& tasks = created_->tasks();
  // A thread of ours may begin now that the tasks are forked: none is copied into them.
  const FillProgress watch(tasks.front().pid, RemoteAddr(tasks.front().launch.plan),
                           memory::planned_bytes(images_.pagemap), progress_);
  Result<void> done;
  for (size_t i = 0; done && i < tasks.size(); ++i) done = wait_for_memory(tasks[i], stop_);
  for (size_t i = 0; done && i < tasks.size(); ++i) {
    std::vector<Tid> tids;
    for (const auto& thread : image_of(i).threads) tids.emplace_back(thread.tid());
    done = wait_for_threads(tasks[i], tids, stop_);
  }
  // The blob compares every page it has put in place with its checksum; the reader says it in full.
  if (!done && done.error().errno_value() == EBADMSG) TRY(verify_pages());
  return done;
}

Result<void> Restore::finish_ipc() {
  const ProcDir root = TRY(ProcDir::open(fmt::format("/proc/{}", created_->root().pid.value)));
  return ipc::finish_namespace(*images_.mm.ipc, root.fd());
}

Result<void> Restore::finish() {
  const Span span("finish");
  TRY(seals_->set());
  if (images_.mm.ipc) TRY(finish_ipc());
  const auto& tasks = created_->tasks();
  std::map<pid_t, ChildReports> reports;  // by parent
  // Children first: their stops are over before their parents have their signals.
  for (size_t i = tasks.size(); i-- > 0;) {
    const auto& [task, threads] = image_of(i);
    TRY(finish_threads(tasks[i], task, threads, reports[task.pid()]));
    const bool stops = options_.leave_stopped || task.stopped();
    if (!stops && !task.continue_uncollected()) continue;
    const bool as_before = !options_.leave_stopped && task.stopped();
    const pid_t parent = i == 0 ? 0 : task.ppid();
    TRY(stop_task(tasks[i], threads,
                  as_before ? stop_signal_for(tasks[i], task, parent) : SIGSTOP));
    if (!stops) TRY(continue_task(tasks[i], threads));
    ChildReports& told = reports[task.ppid()];
    told.signalled = true;
    if (stops && (!task.stopped() || task.stop_collected()))
      told.collected_stops.push_back(task.pid());
  }
  return {};
}

Result<void> Restore::release() {
  const Span span("release");
  TRY(socket_names_->publish());
  bool window_changed = false;
  const HostPid pid = created_->root().pid;
  for (const char* moment : {"post-restore", "pre-resume"})
    TRY(options_.scripts.run(moment, pid.value, stop_));
  if (options_.before_release) TRY(options_.before_release(pid));
  if (terminal_ && files::uses_job_terminal(images_.files)) {
    window_changed = TRY(files::apply_terminal_settings(images_.files, terminal_.get())) ==
                     files::WindowSize::kChanged;
  }
  const auto& tasks = created_->tasks();
  for (size_t i = tasks.size(); i-- > 0;) TRY(outlive_restore(image_of(i).threads));
  socket_names_->keep();
  created_->disown();
  for (size_t i = tasks.size(); i-- > 0;) TRY(restore::release(tasks[i], image_of(i).threads));
  files::remove_remap_links(images_.files);
  log::info("pid {}: released", pid.value);
  // Too late to undo anything.
  if (const auto done = options_.scripts.run("post-resume", pid.value, stop_); !done)
    log::warn("{}", done.error().message());
  // A job that drew for another window size redraws.
  if (window_changed) ::kill(pid.value, SIGWINCH);
  return {};
}

Result<Outcome> Restore::outcome() {
  Outcome outcome;
  outcome.root_pid = created_->root().pid;
  auto& stats = outcome.stats;
  stats.set_total_ns(monotonic_ns() - start_ns_);
  stats.set_pages_restored(page_count());
  stats.set_bytes_restored(memory::planned_bytes(images_.pagemap));
  stats.set_tasks(images_.tasks.tasks.size());
  size_t threads = 0;
  for (const auto& task : images_.tasks.tasks) threads += task.threads.size();
  stats.set_threads(threads);
  stats.set_restore_threads(options_.restore_threads);
  image::add_stage_times(kStages, stats);
  return outcome;
}

}  // namespace

Result<Outcome> run(const Options& options, const StopRequest& stop, Progress& progress) {
  return Restore(options, stop, progress).run();
}

}  // namespace cryostat::restore
