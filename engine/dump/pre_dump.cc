#include "engine/dump/pre_dump.h"

#include <array>
#include <optional>
#include <vector>

#include "engine/base/descriptor_limit.h"
#include "engine/base/log.h"
#include "engine/base/refusals.h"
#include "engine/base/span.h"
#include "engine/dump/cgroup_freezer.h"
#include "engine/dump/manifest.h"
#include "engine/dump/outside_sharing.h"
#include "engine/dump/precheck.h"
#include "engine/dump/task_dump.h"
#include "engine/dump/tree.h"
#include "engine/image/checkpoint_writer.h"
#include "engine/image/stage_times.h"
#include "engine/ipc/namespace.h"
#include "engine/memory/dump_pages.h"
#include "engine/memory/increment.h"
#include "engine/memory/mapped_file_table.h"
#include "engine/memory/page_transfer.h"
#include "engine/memory/shared_memory.h"
#include "engine/memory/vma_reader.h"

namespace cryostat::dump {

namespace {

constexpr std::array kStages = {"prepare", "freeze",  "inject",       "collect memory",
                                "cure",    "release", "write memory", "commit"};

class PreDump {
 public:
  PreDump(const Options& options, const StopRequest& stop, Progress& progress)
      : options_(options), stop_(stop), progress_(progress), start_ns_(monotonic_ns()) {}

  Result<Outcome> run() {
    TRY(prepare());
    TRY(look());
    TRY(write_memory());
    TRY(commit());
    return outcome();
  }

 private:
  Result<void> prepare();
  Result<void> look();
  Result<void> collect_memory();
  Result<void> write_memory();
  Result<void> write_unreadable();
  Result<void> write_space(size_t index);
  Result<void> commit();
  Outcome outcome();

  const Options& options_;
  const StopRequest& stop_;
  Progress& progress_;
  const uint64_t start_ns_;
  uint64_t freeze_ns_ = 0;

  std::optional<Tree> tree_;
  std::optional<CgroupFreezer> freezer_;  // put back before the tree is released
  std::optional<image::CheckpointWriter> writer_;
  std::optional<memory::Increment> increment_;
  std::optional<memory::VmaReader> vmas_;
  std::vector<memory::SpaceIncrement> changes_;           // of each address space
  std::vector<std::vector<memory::StoredRun>> left_out_;  // of each: written while frozen
  Refusals refusals_;
  memory::SharedMemoryTable shared_memory_;
  std::optional<pb::IpcNamespace> ipc_;
  memory::MappedFileTable mapped_files_;
  memory::VdsoImages vdso_images_;
  memory::PageCounts pages_;
};

Result<void> PreDump::prepare() {
  const Span span("prepare");
  make_room_for_descriptors();
  tree_.emplace(TRY(Tree::open(options_.pid)));
  if (!options_.freeze_cgroup.empty())
    freezer_.emplace(TRY(CgroupFreezer::open(options_.freeze_cgroup)));
  TRY(precheck(tree_->root().handle(), refusals_));
  TRY(refuse_outside_sharing(tree_->root().handle(), refusals_));
  TRY(refusals_.check());
  memory::IncrementOptions increment = options_.increment;
  increment.track_mem = true;
  increment_.emplace(TRY(memory::Increment::prepare(increment, options_.images_dir)));
  writer_.emplace(TRY(image::CheckpointWriter::create(options_.images_dir)));
  vmas_.emplace(options_.vma_flags);
  TRY(tree_->prepare());
  TRY(vmas_->prepare(tree_->known()));
  return stop_.check();
}

// All for which the target is frozen.
Result<void> PreDump::look() {
  const uint64_t freeze_start_ns = monotonic_ns();
  const Deadline deadline = Deadline::in(options_.timeout);
  const auto& live = tree_->live();
  {
    const Span span("freeze");
    TRY(tree_->freeze(deadline, stop_, freezer_ ? &*freezer_ : nullptr, refusals_));
  }
  {
    const Span span("inject");
    for (const auto& task : live) TRY(task->inject(deadline, stop_, tree_->stub_room(*task)));
  }
  {
    const Span span("collect memory");
    TRY(collect_memory());
  }
  {
    const Span span("write memory");
    TRY(write_unreadable());
  }
  {
    const Span span("cure");
    for (const auto& task : live) TRY(task->cure());
  }
  const Span span("release");
  if (freezer_) TRY(freezer_->put_back());
  for (size_t i = live.size(); i-- > 0;) TRY(live[i]->release(SeizedTask::Mode::kResume));
  freeze_ns_ = monotonic_ns() - freeze_start_ns;
  return stop_.check();
}

// What a dump would refuse is refused now.
Result<void> PreDump::collect_memory() {
  uint32_t id = 0;
  if (TRY(ipc::is_of_target(tree_->root().handle()))) shared_memory_.allow_sysv();
  for (const auto& task : tree_->live()) TRY(task->collect_task(refusals_));
  for (const auto& [task, sharers] : tree_->spaces())
    TRY(task->collect_memory(++id, sharers, options_, *vmas_,
                             {shared_memory_, mapped_files_, vdso_images_}, refusals_));
  if (shared_memory_.sysv_allowed())
    TRY(ipc::collect_namespace(tree_->root().handle(), shared_memory_, refusals_, ipc_.emplace()));
  TRY(refusals_.check());
  for (const auto& [task, sharers] : tree_->spaces())
    changes_.push_back(TRY(increment_->begin(task->handle(), task->infected(), task->space())));
  return {};
}

// What only a tracer may read.
Result<void> PreDump::write_unreadable() {
  left_out_.resize(changes_.size());
  for (size_t i = 0; i < changes_.size(); ++i) {
    TaskDump& task = *tree_->spaces()[i].task;
    if (!memory::leaves_out(memory::SecondPart::kFromRunning, task.space())) continue;
    const auto transfer = TRY(
        memory::make_forced_transfer(task.handle(), writer_->pages(), memory::Vanished::kFails));
    memory::PageSource source{task.handle(), *transfer, nullptr, changes_[i].changes()};
    source.second_part = memory::SecondPart::kFromRunning;
    pages_ += TRY(memory::dump_left_out_pages(source, task.space(), *writer_, stop_, progress_,
                                              left_out_[i]));
  }
  return {};
}

Result<void> PreDump::write_memory() {
  Span span("write memory");
  for (size_t i = 0; i < changes_.size(); ++i) TRY(write_space(i));
  pages_ += TRY(
      memory::dump_shared_memory(shared_memory_, increment_->parent(), *writer_, stop_, progress_));
  span.add_bytes(pages_.written * kPageSize);
  return {};
}

// Through any task that has the memory and lives on. Memory that nobody has any more is of no use
// to the next dump, unless it was the root's.
Result<void> PreDump::write_space(size_t index) {
  const Tree::Space& space = tree_->spaces()[index];
  memory::SpaceIncrement& increment = changes_[index];
  std::vector<const TaskDump*> owners = {space.task};
  owners.insert(owners.end(), space.sharers.begin(), space.sharers.end());
  for (const TaskDump* task : owners) {
    auto opened =
        memory::make_forced_transfer(task->handle(), writer_->pages(), memory::Vanished::kSkip);
    const bool is_gone = !opened && opened.error().kind() == ErrorKind::kTargetGone;
    if (is_gone && task != &tree_->root()) {
      log::info("pid {} ended meanwhile: not in the pre-dump", task->pid().value);
      continue;
    }
    const auto transfer = TRY(std::move(opened));
    memory::PageSource source{task->handle(), *transfer, nullptr, increment.changes()};
    source.changes.running = true;
    source.second_part = memory::SecondPart::kFromRunning;
    pages_ += TRY(memory::dump_remaining_pages(source, space.task->space(), left_out_[index],
                                               *writer_, stop_, progress_));
    return {};
  }
  return {};
}

Result<void> PreDump::commit() {
  const Span span("commit");
  TRY(writer_->stream(image::FileType::kPagemap));
  std::vector<const pb::Task*> tasks;
  for (const auto& task : tree_->live()) {
    tasks.push_back(&task->collected().task);
    if (tree_->leads_space(*task))
      TRY(memory::write_address_space(task->space(), mapped_files_, *writer_));
  }
  TRY(memory::write_memory_objects(mapped_files_, shared_memory_, *writer_));
  if (ipc_) TRY(writer_->append(image::FileType::kMemory, *ipc_));
  TRY(writer_->append(image::FileType::kStats, outcome().stats));
  pb::Manifest manifest = make_manifest(tasks, options_);
  manifest.set_pre_dump(true);
  increment_->describe(manifest);
  TRY(writer_->commit(std::move(manifest)));
  log::info("pre-dump {} is complete", options_.images_dir);
  return {};
}

Outcome PreDump::outcome() {
  Outcome outcome;
  auto& stats = outcome.stats;
  stats.set_freeze_ns(freeze_ns_);
  stats.set_total_ns(monotonic_ns() - start_ns_);
  stats.set_tasks(tree_->live().size());
  stats.set_threads(tree_->thread_count());
  stats.set_transfer("running");
  memory::describe_counts(pages_, stats);
  stats.set_tracker(increment_->tracker());
  image::add_stage_times(kStages, stats);
  return outcome;
}

}  // namespace

Result<Outcome> pre_dump(const Options& options, const StopRequest& stop, Progress& progress) {
  return PreDump(options, stop, progress).run();
}

}  // namespace cryostat::dump
