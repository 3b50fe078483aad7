#include "engine/dump/dump.h"

#include <array>
#include <optional>

#include "engine/base/log.h"
#include "engine/base/refusals.h"
#include "engine/base/span.h"
#include "engine/dump/manifest.h"
#include "engine/dump/precheck.h"
#include "engine/dump/warm_up.h"
#include "engine/files/collect.h"
#include "engine/image/checkpoint_writer.h"
#include "engine/image/stage_times.h"
#include "engine/infect/infected_task.h"
#include "engine/memory/address_space.h"
#include "engine/memory/dump_pages.h"
#include "engine/memory/mapped_file_table.h"
#include "engine/memory/page_transfer.h"
#include "engine/memory/shared_memory.h"
#include "engine/memory/smaps_reader.h"
#include "engine/procfs/statm.h"
#include "engine/procfs/task_handle.h"
#include "engine/ptrace/seized_task.h"
#include "engine/task/collect.h"
#include "engine/task/sleep_clock.h"
#include "engine/task/write.h"

namespace cryostat::dump {

namespace {

// Names of the stage spans, in order; they become the stages of the statistics.
constexpr std::array kStages = {"prepare",        "freeze",        "inject",       "collect task",
                                "collect memory", "collect files", "write memory", "cure",
                                "release",        "commit"};

// Page data of a target this small is written when it runs again.
constexpr size_t kDeferredBytes = 1 << 20;

// One dump, as its list of stages; what a stage leaves for later ones is a member. Members are
// destroyed in reverse order: the parasite is cured before its task is released.
class Dump {
 public:
  Dump(const Options& options, const StopRequest& stop, Progress& progress)
      : options_(options), stop_(stop), progress_(progress), start_ns_(monotonic_ns()) {}

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
    return options_.after == After::kLeaveRunning ? finish_running() : finish_ended();
  }

 private:
  Result<void> prepare();
  Result<void> create_images();
  Result<void> freeze();
  Result<void> collect();
  Result<void> collect_memory();
  Result<void> write_memory();
  Result<void> cure();
  Result<void> release(SeizedTask::Mode mode);
  Result<void> commit();
  Result<Outcome> finish_running();
  Result<Outcome> finish_ended();
  Result<bool> parasite_pays();
  Result<std::unique_ptr<memory::PageTransfer>> make_transfer();
  Outcome outcome();

  const Options& options_;
  const StopRequest& stop_;
  Progress& progress_;
  const uint64_t start_ns_;
  uint64_t freeze_start_ns_ = 0;
  uint64_t freeze_ns_ = 0;

  std::optional<TaskHandle> handle_;
  std::optional<image::CheckpointWriter> writer_;
  PidMark pid_mark_;
  Refusals refusals_;
  memory::SharedMemoryTable shared_memory_;
  memory::MappedFileTable mapped_files_;
  std::optional<memory::SmapsReader> smaps_;
  std::optional<SeizedTask> seized_;
  std::optional<InfectedTask> infected_;
  task::SleepSamples sleeps_;
  std::optional<task::CollectedTask> task_;
  std::optional<memory::AddressSpaceState> space_;
  std::optional<files::FilesCollection> files_;
  memory::PageCounts pages_;
  std::string transfer_name_;
};

Result<void> Dump::prepare() {
  const Span span("prepare");
  handle_.emplace(TRY(TaskHandle::open(options_.pid)));
  pid_mark_ = TRY(precheck(*handle_, refusals_));
  TRY(refusals_.check());
  if (!options_.dry_run) TRY(create_images());
  smaps_.emplace();
  warm_up();
  sleeps_ = task::sample_sleeps(*handle_);
  return stop_.check();
}

// Files that are written while the target is frozen are created before it is.
Result<void> Dump::create_images() {
  writer_.emplace(TRY(image::CheckpointWriter::create(options_.images_dir)));
  TRY(writer_->stream(image::FileType::kPagemap));
  TRY(writer_->stream(image::FileType::kFiles));
  writer_->pages().defer_pages(kDeferredBytes);
  return {};
}

Result<void> Dump::freeze() {
  freeze_start_ns_ = monotonic_ns();
  const Deadline deadline = Deadline::in(options_.timeout);
  {
    const Span span("freeze");
    seized_.emplace(TRY(SeizedTask::freeze(*handle_, deadline, stop_)));
  }
  log::info("pid {}: {} threads stopped", options_.pid.value, seized_->threads().size());
  const Span span("inject");
  infected_.emplace(TRY(InfectedTask::inject(*seized_, deadline, stop_)));
  smaps_->request(*handle_);  // with the parasite's area, which shows the flags of new mappings
  return {};
}

Result<void> Dump::collect() {
  TRY(check_new_children(*handle_, pid_mark_, refusals_));
  {
    const Span span("collect task");
    task_.emplace(TRY(task::collect_task(*seized_, *infected_, sleeps_,
                                         {.shell_job = options_.shell_job}, refusals_)));
  }
  {
    const Span span("collect memory");
    TRY(collect_memory());
  }
  {
    const Span span("collect files");
    const TaskHandle* const task = &*handle_;
    files_.emplace(
        TRY(files::collect_descriptors(std::span(&task, 1),
                                       {.shell_job = options_.shell_job,
                                        .ghost_limit_bytes = options_.ghost_limit_bytes,
                                        .engine_fds = {}},  // the parasite has no descriptor yet
                                       shared_memory_, refusals_)));
  }
  log::info("pid {}: {} VMAs, {} descriptors of {} open files, {} shared memory objects",
            options_.pid.value, space_->vmas.size(), files_->descriptor_count(),
            files_->description_count(), shared_memory_.objects().size());
  TRY(refusals_.check());
  return stop_.check();
}

Result<void> Dump::collect_memory() {
  memory::CollectOptions collect;
  collect.id = 1;
  collect.parasite_area = {infected_->area_start().value, infected_->area_end().value};
  collect.current_brk = RemoteAddr(task_->report.program_break);
  collect.ghost_limit_bytes = options_.ghost_limit_bytes;
  collect.smaps = &*smaps_;
  space_.emplace(TRY(
      memory::collect_address_space(*handle_, collect, shared_memory_, mapped_files_, refusals_)));
  task::describe_address_space(task_->report, space_->space);
  task_->task.set_address_space_id(space_->space.id());
  return {};
}

// The parasite copies each page once, the engine twice; but giving the parasite a descriptor takes
// as long as copying a mebibyte does.
Result<bool> Dump::parasite_pays() {
  constexpr uint64_t kFewPages = 256;
  if (options_.transfer != Transfer::kAuto) return options_.transfer == Transfer::kParasite;
  const auto usage = TRY(procfs::parse_statm(TRY(handle_->proc().read("statm"))));
  return usage.private_pages() > kFewPages;
}

Result<std::unique_ptr<memory::PageTransfer>> Dump::make_transfer() {
  if (TRY(parasite_pays()) && infected_->can_receive_fds()) {
    return memory::make_parasite_transfer(*infected_, handle_->pid(), writer_->pages());
  }
  if (options_.transfer == Transfer::kParasite) {
    return fail(ErrorKind::kRefused,
                "the parasite can't take a descriptor: the target's descriptor table is full");
  }
  return memory::make_vm_readv_transfer(handle_->pid(), writer_->pages());
}

// Everything whose source is the frozen target itself: pages, shared objects, deleted files.
Result<void> Dump::write_memory() {
  Span span("write memory");
  std::unique_ptr<memory::PageTransfer> transfer;
  {
    const Span channel("write memory: channel");
    transfer = TRY(make_transfer());
    transfer_name_ = transfer->name();
  }
  {
    const Span private_pages("write memory: pages");
    pages_ = TRY(memory::dump_pages(*handle_, *space_, *transfer, *writer_, stop_, progress_));
  }
  const auto shared = TRY(memory::dump_shared_memory(shared_memory_, *writer_, stop_, progress_));
  pages_.scanned += shared.scanned;
  pages_.written += shared.written;
  pages_.zero += shared.zero;
  span.add_bytes(pages_.written * kPageSize);
  log::info("pid {}: {} pages looked at, {} written by {}, {} zero", options_.pid.value,
            pages_.scanned, pages_.written, transfer_name_, pages_.zero);
  return files::write_files(*files_, *writer_);
}

Result<void> Dump::cure() {
  const Span span("cure");
  TRY(infected_->cure());
  infected_.reset();
  return {};
}

Result<void> Dump::release(SeizedTask::Mode mode) {
  const Span span("release");
  TRY(seized_->release(mode));
  freeze_ns_ = monotonic_ns() - freeze_start_ns_;
  log::info("pid {}: frozen for {:.3f} ms", options_.pid.value,
            static_cast<double>(freeze_ns_) / 1e6);
  return {};
}

Result<void> Dump::commit() {
  const Span span("commit");
  task_->task.set_descriptor_table_id(files::FilesCollection::table_id(0));
  TRY(task::write_task(*task_, *writer_));
  TRY(memory::write_address_space(*space_, mapped_files_, *writer_));
  TRY(memory::write_memory_objects(mapped_files_, shared_memory_, *writer_));
  TRY(writer_->append(image::FileType::kStats, outcome().stats));
  TRY(writer_->commit(make_manifest(*task_, options_)));
  log::info("checkpoint {} is complete", options_.images_dir);
  return {};
}

// -R: the target goes on as soon as all that is needed of it was read.
Result<Outcome> Dump::finish_running() {
  TRY(release(SeizedTask::Mode::kResume));
  TRY(commit());
  return outcome();
}

// The target ends (or stays stopped) only once its checkpoint is complete.
Result<Outcome> Dump::finish_ended() {
  TRY(stop_.check());
  TRY(commit());
  TRY(release(options_.after == After::kLeaveStopped ? SeizedTask::Mode::kStop
                                                     : SeizedTask::Mode::kKill));
  return outcome();
}

Outcome Dump::outcome() {
  Outcome outcome;
  auto& stats = outcome.stats;
  stats.set_freeze_ns(freeze_ns_ != 0 ? freeze_ns_ : monotonic_ns() - freeze_start_ns_);
  stats.set_total_ns(monotonic_ns() - start_ns_);
  stats.set_pages_scanned(pages_.scanned);
  stats.set_pages_written(pages_.written);
  stats.set_pages_zero(pages_.zero);
  stats.set_bytes_written(pages_.written * kPageSize);
  stats.set_tasks(1);
  stats.set_threads(task_->threads.size());
  stats.set_descriptors(files_->descriptor_count());
  stats.set_transfer(transfer_name_);
  image::add_stage_times(kStages, stats);
  return outcome;
}

}  // namespace

Result<Outcome> run(const Options& options, const StopRequest& stop, Progress& progress) {
  return Dump(options, stop, progress).run();
}

}  // namespace cryostat::dump
