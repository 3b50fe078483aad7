#include "engine/restore/restore.h"

#include <fcntl.h>
#include <sys/ioctl.h>

#include <algorithm>
#include <array>
#include <csignal>
#include <optional>

#include "engine/base/log.h"
#include "engine/base/plan_report.h"
#include "engine/base/span.h"
#include "engine/files/restore.h"
#include "engine/files/terminal.h"
#include "engine/image/checkpoint_images.h"
#include "engine/image/checkpoint_reader.h"
#include "engine/image/stage_times.h"
#include "engine/memory/mapped_file_check.h"
#include "engine/memory/memory_plan.h"
#include "engine/restore/blob_run.h"
#include "engine/restore/create_task.h"
#include "engine/restore/fill_progress.h"
#include "engine/restore/finish.h"
#include "engine/restore/hosted_plan.h"
#include "engine/restore/machine_check.h"
#include "engine/restore/vdso_move.h"
#include "engine/task/state_plan.h"
#include "engine/task/task_check.h"

namespace cryostat::restore {

namespace {

// Names of the stage spans, in order; they become the stages of the statistics.
constexpr std::array kStages = {"read images", "plan",   "create task", "hosted child",
                                "restorer",    "finish", "release"};

// One restore, as its list of stages; what a stage leaves for later ones is a member.
class Restore {
 public:
  Restore(const Options& options, const StopRequest& stop, Progress& progress)
      : options_(options), stop_(stop), progress_(progress), start_ns_(monotonic_ns()) {}

  Result<Outcome> run() {
    TRY(read_images());
    TRY(plan());
    if (options_.dry_run) return dry_run_outcome();
    TRY(create_task());
    TRY(rebuild());
    TRY(finish());
    TRY(release());
    return outcome();
  }

 private:
  Result<void> read_images();
  Result<void> plan();
  Result<Outcome> dry_run_outcome();
  Result<void> create_task();
  Result<void> rebuild();
  Result<void> finish();
  Result<void> release();
  Result<void> verify_pages();
  Result<Outcome> outcome();

  const image::TaskImage& root() const { return images_.tasks.root(); }
  CreateOptions::Parent parent_of_root() const;

  const Options& options_;
  const StopRequest& stop_;
  Progress& progress_;
  const uint64_t start_ns_;

  std::optional<image::CheckpointReader> reader_;
  image::CheckpointImages images_;
  UniqueFd sums_;  // page-sums.img, for the blob
  const image::AddressSpaceImage* space_ = nullptr;
  UniqueFd terminal_;
  PlanReport report_;
  VdsoChoice vdso_;
  std::optional<HostedInputs> inputs_;
  std::optional<CreatedTask> task_;
  LaunchReport launch_;
};

Result<void> Restore::read_images() {
  const Span span("read images");
  reader_.emplace(TRY(image::CheckpointReader::open(options_.images_dir)));
  images_ = TRY(image::load_images(*reader_));
  if (images_.tasks.tasks.size() != 1) {
    return fail(ErrorKind::kRefused, "the checkpoint holds " +
                                         std::to_string(images_.tasks.tasks.size()) +
                                         " processes; process trees can't be restored yet");
  }
  space_ = images_.mm.space(root().task.address_space_id());
  log::info("checkpoint {}: pid {}, {} threads, {} VMAs, {} open files, {} pages",
            options_.images_dir, root().task.pid(), root().threads.size(), space_->vmas.size(),
            images_.files.descriptions.size(), reader_->page_count());
  return stop_.check();
}

Result<void> Restore::plan() {
  const Span span("plan");
  if (options_.shell_job) terminal_ = files::find_job_terminal();
  check_machine(reader_->manifest(), images_.tasks, report_);
  task::check_task(root().task, root().threads, {.shell_job = options_.shell_job}, report_);
  files::check_files(images_.files,
                     {.shell_job = options_.shell_job, .terminal_fd = terminal_.get()}, report_);
  TRY(memory::check_mapped_files(images_.mm, report_));
  if (auto choice = choose_vdso(space_->space, root().threads, options_.vdso)) {
    vdso_ = std::move(*choice);
    report_.ok("vDSO", vdso_.why);
  } else {
    report_.missing("vDSO", choice.error());
  }
  for (const auto& line : report_.lines()) log::debug("{}", line);
  TRY(report_.check());
  return stop_.check();
}

Result<void> Restore::verify_pages() {
  constexpr unsigned kThreads = 2;
  return reader_->verify_all_pages(kThreads, stop_);
}

Result<Outcome> Restore::dry_run_outcome() {
  TRY(verify_pages());
  report_.ok("page data", std::to_string(reader_->page_count()) + " pages, checksums hold");
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

Result<void> Restore::create_task() {
  const Span span("create task");
  const std::string sums_name(image::file_name(image::FileType::kPageSums));
  sums_ = UniqueFd(::openat(reader_->dir_fd(), sums_name.c_str(), O_RDONLY | O_CLOEXEC));
  if (!sums_) return fail_errno("open " + reader_->directory() + "/" + sums_name);
  inputs_.emplace(HostedInputs{images_, root(), *space_, reader_->pages_fd(), sums_.get(),
                               reader_->sums(), terminal_.get(), options_.restore_threads});
  const CreateOptions create{.parent = parent_of_root(),
                             .suspend_seccomp = task::needs_suspended_seccomp(root().threads)};
  const HostedPlan hosted = make_hosted_plan(*inputs_, vdso_);
  task_.emplace(TRY(create_root(HostPid(root().task.pid()), create, hosted)));
  return {};
}

Result<void> Restore::rebuild() {
  {
    const Span span("hosted child");
    launch_ = TRY(task_->wait_ready(stop_));
  }
  const Span span("restorer");
  std::vector<Tid> tids;
  tids.reserve(root().threads.size());
  for (const auto& thread : root().threads) tids.emplace_back(thread.tid());
  // A thread of ours may begin now that the task is forked: none is copied into it.
  const FillProgress watch(task_->pid(), RemoteAddr(launch_.plan),
                           memory::planned_bytes(images_.pagemap), progress_);
  auto done = run_blob(*task_, launch_, tids, stop_);
  // The blob compares every page it has put in place with its checksum; the reader says it in full.
  if (!done && done.error().errno_value() == EBADMSG) TRY(verify_pages());
  return done;
}

Result<void> Restore::finish() {
  const Span span("finish");
  return finish_threads(*task_, launch_, root().task, root().threads);
}

Result<void> Restore::release() {
  const Span span("release");
  bool window_changed = false;
  if (options_.before_release) TRY(options_.before_release(task_->pid()));
  if (terminal_ && files::uses_job_terminal(images_.files)) {
    window_changed = TRY(files::apply_terminal_settings(images_.files, terminal_.get())) ==
                     files::WindowSize::kChanged;
  }
  const bool stopped = options_.leave_stopped || root().task.stopped();
  const int stop_signal = options_.leave_stopped ? SIGSTOP : stop_signal_for(*task_, root().task);
  const HostPid pid = task_->pid();
  TRY(restore::release(*task_, root().threads, stopped ? ReleaseAs::kStopped : ReleaseAs::kRunning,
                       stop_signal));
  log::info("pid {}: released{}", pid.value, stopped ? " into a stop" : "");
  // A job that drew for another window size redraws.
  if (window_changed) ::kill(pid.value, SIGWINCH);
  return {};
}

Result<Outcome> Restore::outcome() {
  Outcome outcome;
  outcome.root_pid = task_->pid();
  auto& stats = outcome.stats;
  stats.set_total_ns(monotonic_ns() - start_ns_);
  stats.set_pages_restored(reader_->page_count());
  stats.set_bytes_restored(reader_->page_count() * kPageSize);
  stats.set_tasks(images_.tasks.tasks.size());
  stats.set_threads(root().threads.size());
  stats.set_restore_threads(options_.restore_threads);
  image::add_stage_times(kStages, stats);
  return outcome;
}

}  // namespace

Result<Outcome> run(const Options& options, const StopRequest& stop, Progress& progress) {
  return Restore(options, stop, progress).run();
}

}  // namespace cryostat::restore
