#include "engine/dump/dump.h"

#include <array>
#include <optional>
#include <span>

#include "engine/base/descriptor_limit.h"
#include "engine/base/log.h"
#include "engine/base/refusals.h"
#include "engine/base/span.h"
#include "engine/dump/cgroup_freezer.h"
#include "engine/dump/manifest.h"
#include "engine/dump/outside_sharing.h"
#include "engine/dump/precheck.h"
#include "engine/dump/shared_pages.h"
#include "engine/dump/stop_reports.h"
#include "engine/dump/tree.h"
#include "engine/dump/warm_up.h"
#include "engine/files/collect.h"
#include "engine/image/checkpoint_writer.h"
#include "engine/image/stage_times.h"
#include "engine/ipc/namespace.h"
#include "engine/memory/increment.h"
#include "engine/memory/mapped_file_table.h"
#include "engine/memory/shared_memory.h"
#include "engine/memory/vma_reader.h"
#include "engine/task/semaphore_undo.h"
#include "engine/task/session.h"
#include "engine/task/task_sharing.h"
#include "engine/task/tree_plan.h"
#include "engine/task/write.h"

namespace cryostat::dump {

namespace {

// Names of the stage spans, in order; they become the stages of the statistics.
constexpr std::array kStages = {"prepare",        "freeze",      "inject",        "collect task",
                                "collect memory", "collect IPC", "collect files", "write memory",
                                "cure",           "release",     "write copy",    "compress",
                                "commit"};

// Page data of a target this small is written when it runs again.
constexpr size_t kDeferredBytes = 1 << 20;

// What becomes of the target when its checkpoint is complete and it is still frozen.
SeizedTask::Mode mode_after(After after) {
  if (after == After::kLeaveRunning) return SeizedTask::Mode::kResume;
  return after == After::kLeaveStopped ? SeizedTask::Mode::kStop : SeizedTask::Mode::kKill;
}

// Before its checkpoint is complete; a script that may undo the dump is waited for.
bool goes_on_early(const Options& options) {
  return options.after == After::kLeaveRunning && options.scripts.empty();
}

// One dump, as its list of stages; what a stage leaves for later ones is a member.
class Dump {
 public:
  Dump(const Options& options, const StopRequest& stop, Progress& progress)
      : options_(options),
        stop_(stop),
        progress_(progress),
        start_ns_(monotonic_ns()),
        limit_(options.bandwidth_bytes_per_s),
        snapshots_(options.snapshot, goes_on_early(options) && !options.dry_run) {}

  Result<Outcome> run() {
    TRY(prepare());
    TRY(freeze());
    TRY(collect());
    if (options_.dry_run) {
      TRY(cure());
      TRY(release(SeizedTask::Mode::kResume));
      return outcome();
    }
    TRY(write_memory());
    TRY(cure());
    return goes_on_early(options_) ? finish_running() : finish_ended();
  }

 private:
  Result<void> prepare();
  Result<void> warn_about_unseen();
  Result<void> create_images();
  Result<void> freeze();
  Result<void> collect();
  Result<void> collect_tree();
  void describe_sharing(std::span<pb::Task* const> live);
  Result<void> collect_ipc();
  Result<void> write_memory();
  Result<void> write_copies();
  Result<void> cure();
  Result<void> release(SeizedTask::Mode mode);
  Result<void> compress();
  Result<void> commit();
  Result<Outcome> finish_running();
  Result<Outcome> finish_ended();
  memory::PageCounts pages() const;
  Outcome outcome();

  const Options& options_;
  const StopRequest& stop_;
  Progress& progress_;
  const uint64_t start_ns_;
  uint64_t freeze_start_ns_ = 0;
  uint64_t freeze_ns_ = 0;

  RateLimit limit_;
  memory::Snapshots snapshots_;
  std::optional<Tree> tree_;
  std::optional<CgroupFreezer> freezer_;  // put back before the tree is released
  std::optional<image::CheckpointWriter> writer_;
  std::optional<memory::Increment> increment_;
  Refusals refusals_;
  memory::SharedMemoryTable shared_memory_;
  std::optional<pb::IpcNamespace> ipc_;  // when the target has one of its own
  memory::MappedFileTable mapped_files_;
  memory::VdsoImages vdso_images_;
  std::optional<memory::VmaReader> vmas_;
  std::vector<const pb::Task*> tasks_;  // live ones and zombies, parents first
  std::optional<files::FilesCollection> files_;
  memory::PageCounts shared_pages_;
  uint64_t stored_bytes_ = 0;
};

Result<void> Dump::prepare() {
  const Span span("prepare");
  make_room_for_descriptors();
  tree_.emplace(TRY(Tree::open(options_.pid)));
  if (!options_.freeze_cgroup.empty())
    freezer_.emplace(TRY(CgroupFreezer::open(options_.freeze_cgroup)));
  TRY(precheck(tree_->root().handle(), refusals_));
  TRY(refuse_outside_sharing(tree_->root().handle(), refusals_));
  TRY(refusals_.check());
  increment_.emplace(TRY(memory::Increment::prepare(options_.increment, options_.images_dir)));
  if (!options_.dry_run) TRY(create_images());
  vmas_.emplace(options_.vma_flags);
  if (!options_.dry_run) TRY(options_.scripts.run("pre-dump", options_.pid.value, stop_));
  warm_up();
  TRY(tree_->prepare());
  TRY(warn_about_unseen());
  TRY(snapshots_.prepare(tree_->known()));
  TRY(vmas_->prepare(tree_->known()));
  return stop_.check();
}

// State that nobody can see is at least named.
Result<void> Dump::warn_about_unseen() {
  std::vector<pid_t> pids;
  for (const TaskHandle* task : tree_->known()) pids.push_back(task->pid().value);
  return task::warn_about_semaphores(pids);
}

// Files that are written while the target is frozen are created before it is.
Result<void> Dump::create_images() {
  writer_.emplace(TRY(image::CheckpointWriter::create(options_.images_dir, options_.store)));
  TRY(writer_->stream(image::FileType::kPagemap));
  TRY(writer_->stream(image::FileType::kFiles));
  // Direct I/O takes aligned pages only, as they come.
  if (!options_.store.direct_io) writer_->pages().defer_pages(kDeferredBytes);
  return {};
}

Result<void> Dump::freeze() {
  freeze_start_ns_ = monotonic_ns();
  const Deadline deadline = Deadline::in(options_.timeout);
  {
    const Span span("freeze");
    TRY(tree_->freeze(deadline, stop_, freezer_ ? &*freezer_ : nullptr, refusals_));
  }
  const Span span("inject");
  for (const auto& task : tree_->live()) {
    TRY(task->inject(deadline, stop_, tree_->stub_room(*task)));
    // With the parasite's area, which shows the flags of new mappings.
    if (tree_->leads_space(*task)) vmas_->request(task->handle());
  }
  return {};
}

Result<void> Dump::collect() {
  {
    const Span span("collect task");
    for (const auto& task : tree_->live()) TRY(task->collect_task(refusals_));
  }
  {
    const Span span("collect memory");
    TRY(ipc::check_members(tree_->handles(), refusals_));
    if (TRY(ipc::is_of_target(tree_->root().handle()))) shared_memory_.allow_sysv();
    uint32_t id = 0;
    for (const auto& [task, sharers] : tree_->spaces())
      TRY(task->collect_memory(++id, sharers, options_, *vmas_,
                               {shared_memory_, mapped_files_, vdso_images_}, refusals_));
  }
  {
    const Span span("collect IPC");
    TRY(collect_ipc());
  }
  {
    const Span span("collect files");
    const std::vector<const TaskHandle*> handles = tree_->handles();
    std::vector<HostPid> zombies;
    for (const pb::Task& zombie : tree_->zombies()) zombies.emplace_back(zombie.pid());
    files_.emplace(TRY(files::collect_descriptors(
        handles,
        {.shell_job = options_.shell_job,
         .file_locks = options_.file_locks,
         .link_remap = options_.link_remap,
         .skip_in_flight = options_.skip_in_flight,
         .ext_unix_sockets = options_.ext_unix_sockets,
         .ghost_limit_bytes = options_.ghost_limit_bytes,
         .zombies = std::move(zombies),
         .external = options_.external,
         .engine_fds = {},
         .table_leaders = tree_->sharing().leaders_of(task::Resource::kDescriptors)},
        shared_memory_, refusals_)));
    TRY(collect_tree());
  }
  log::info("{} tasks, {} zombies, {} descriptors of {} open files, {} shared memory objects",
            tree_->live().size(), tree_->zombies().size(), files_->descriptor_count(),
            files_->description_count(), shared_memory_.objects().size());
  TRY(refusals_.check());
  return stop_.check();
}

// Behind the address spaces: what they have attached is known then.
Result<void> Dump::collect_ipc() {
  if (!shared_memory_.sysv_allowed()) return {};
  return ipc::collect_namespace(tree_->root().handle(), shared_memory_, refusals_, ipc_.emplace());
}

// What the tasks are to each other: refused as long as the tree could not be restored.
Result<void> Dump::collect_tree() {
  std::vector<pb::Task*> tasks;
  std::vector<uint32_t> tty_nrs;
  for (const auto& task : tree_->live()) {
    tasks.push_back(&task->collected().task);
    tty_nrs.push_back(task->collected().tty_nr);
  }
  describe_sharing(tasks);
  for (pb::Task& zombie : tree_->zombies()) tasks.push_back(&zombie);
  task::find_terminals(tasks, tty_nrs,
                       {[this](uint32_t tty_nr) { return files_->find_pty(tty_nr); },
                        files_->controlled_sessions(), files_->own_terminals()},
                       refusals_);
  task::find_outside_sessions(tasks, options_.shell_job, refusals_);
  tasks_.assign(tasks.begin(), tasks.end());
  TRY(collect_stop_reports(*tree_));
  const auto plan = task::plan_tree(tasks_);
  if (!plan && plan.error().kind() == ErrorKind::kRefused)
    refusals_.add(options_.pid, "", plan.error().message());
  return {};
}

// Numbers from 1; address spaces have theirs.
void Dump::describe_sharing(std::span<pb::Task* const> live) {
  using task::Resource;
  for (size_t i = 0; i < live.size(); ++i) {
    const auto id = [&](Resource resource) {
      return static_cast<uint32_t>(tree_->sharing().leader(resource, i) + 1);
    };
    live[i]->set_descriptor_table_id(
        files::FilesCollection::table_id(tree_->sharing().leader(Resource::kDescriptors, i)));
    if (tree_->sharing().is_shared(Resource::kFileSystem, i))
      live[i]->set_fs_id(id(Resource::kFileSystem));
    if (tree_->sharing().is_shared(Resource::kSignalHandlers, i))
      live[i]->set_sighand_id(id(Resource::kSignalHandlers));
  }
}

// Everything whose source is the frozen target itself: pages, shared objects, deleted files.
Result<void> Dump::write_memory() {
  Span span("write memory");
  std::vector<TaskDump*> written;  // that were not copied
  for (const auto& [task, sharers] : tree_->spaces()) {
    TRY(task->take_snapshot(snapshots_, *increment_));
    if (!task->was_copied()) written.push_back(task);
  }
  SharedPages shared = TRY(SharedPages::find(written, Source::kTask, options_, *writer_));
  for (const auto& [task, sharers] : tree_->spaces())
    TRY(task->write_memory(options_, shared.of(*task), *writer_, stop_, progress_));
  shared_pages_ = TRY(
      memory::dump_shared_memory(shared_memory_, increment_->parent(), *writer_, stop_, progress_));
  span.add_bytes(pages().written * kPageSize);
  return files::write_files(*files_, *writer_);
}

// The target runs again; its memory as it was stands still in the copies.
Result<void> Dump::write_copies() {
  Span span("write copy");
  const uint64_t before = pages().written;
  std::vector<TaskDump*> copied;
  for (const auto& task : tree_->live())
    if (task->was_copied()) copied.push_back(task.get());
  for (TaskDump* task : copied) TRY(task->open_copy(options_, stop_));
  SharedPages shared = TRY(SharedPages::find(copied, Source::kCopy, options_, *writer_));
  for (TaskDump* task : copied)
    TRY(task->write_copy(options_, shared.of(*task), limit_, *writer_, stop_, progress_));
  span.add_bytes((pages().written - before) * kPageSize);
  return {};
}

Result<void> Dump::cure() {
  const Span span("cure");
  for (const auto& task : tree_->live()) TRY(task->cure());
  return {};
}

// Children first: a parent that runs again may look at them.
Result<void> Dump::release(SeizedTask::Mode mode) {
  const Span span("release");
  const auto& live = tree_->live();
  // A frozen task would not die.
  if (freezer_ && mode != SeizedTask::Mode::kKill) TRY(freezer_->put_back());
  for (size_t i = live.size(); i-- > 0;) TRY(live[i]->release(mode));
  if (freezer_) TRY(freezer_->put_back());
  freeze_ns_ = monotonic_ns() - freeze_start_ns_;
  log::info("pid {}: frozen for {:.3f} ms", options_.pid.value,
            static_cast<double>(freeze_ns_) / 1e6);
  return {};
}

// Of the pages in the checkpoint folder: nothing of the target is needed.
Result<void> Dump::compress() {
  const Span span("compress");
  stored_bytes_ = TRY(writer_->pack(limit_, stop_));
  return {};
}

Result<void> Dump::commit() {
  const Span span("commit");
  for (const auto& live : tree_->live()) {
    TaskDump& task = *live;
    TRY(task::write_task(task.collected(), *writer_));
    if (tree_->leads_space(task))
      TRY(memory::write_address_space(task.space(), mapped_files_, *writer_));
  }
  for (const pb::Task& zombie : tree_->zombies())
    TRY(writer_->append(image::FileType::kTasks, zombie));
  TRY(memory::write_memory_objects(mapped_files_, shared_memory_, *writer_));
  if (ipc_) TRY(writer_->append(image::FileType::kMemory, *ipc_));
  TRY(writer_->append(image::FileType::kStats, outcome().stats));
  pb::Manifest manifest = make_manifest(tasks_, options_);
  increment_->describe(manifest);
  TRY(writer_->commit(std::move(manifest)));
  files_->keep_links();
  log::info("checkpoint {} is complete", options_.images_dir);
  return {};
}

// -R: the target goes on as soon as all that is needed of it was read.
Result<Outcome> Dump::finish_running() {
  TRY(release(SeizedTask::Mode::kResume));
  TRY(write_copies());
  TRY(compress());
  TRY(commit());
  return outcome();
}

// The target ends (or stays stopped) only once its checkpoint is complete.
Result<Outcome> Dump::finish_ended() {
  TRY(stop_.check());
  TRY(compress());
  TRY(commit());
  if (auto done = options_.scripts.run("post-dump", options_.pid.value, stop_); !done) {
    writer_->revoke();
    return tl::unexpected(std::move(done).error());
  }
  TRY(release(mode_after(options_.after)));
  return outcome();
}

memory::PageCounts Dump::pages() const {
  memory::PageCounts sum = shared_pages_;
  for (const auto& task : tree_->live()) sum += task->pages();
  return sum;
}

Outcome Dump::outcome() {
  Outcome outcome;
  auto& stats = outcome.stats;
  const memory::PageCounts sum = pages();
  stats.set_freeze_ns(freeze_ns_ != 0 ? freeze_ns_ : monotonic_ns() - freeze_start_ns_);
  stats.set_total_ns(monotonic_ns() - start_ns_);
  memory::describe_counts(sum, stats);
  stats.set_bytes_written(stored_bytes_);
  if (writer_.has_value()) stats.set_pages_deduplicated(writer_->pages().deduplicated_pages());
  stats.set_compression(image::compression_name(options_.store.compression));
  stats.set_tasks(tasks_.size());
  stats.set_threads(tree_->thread_count());
  stats.set_descriptors(files_->descriptor_count());
  stats.set_transfer(tree_->root().transfer_name());
  uint64_t copied = 0;
  for (const auto& task : tree_->live()) {
    copied += task->was_copied() ? 1 : 0;
    *stats.add_per_task() = task->stats();
  }
  stats.set_tasks_copied(copied);
  stats.set_snapshot(copied > 0 ? "cow" : "stop");
  stats.set_tracker(increment_->tracker());
  image::add_stage_times(kStages, stats);
  return outcome;
}

}  // namespace

Result<Outcome> run(const Options& options, const StopRequest& stop, Progress& progress) {
  return Dump(options, stop, progress).run();
}

}  // namespace cryostat::dump
