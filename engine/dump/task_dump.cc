#include "engine/dump/task_dump.h"

#include "engine/base/log.h"
#include "engine/base/span.h"
#include "engine/image/checkpoint_writer.h"
#include "engine/memory/increment.h"
#include "engine/memory/memory_policy.h"
#include "engine/memory/page_transfer.h"
#include "engine/procfs/statm.h"

namespace cryostat::dump {

Result<void> TaskDump::begin_freeze() {
  seized_.emplace(TRY(SeizedTask::begin(handle_)));
  return {};
}

Result<void> TaskDump::freeze(const Deadline& deadline, const StopRequest& stop) {
  if (seized_.has_value()) {
    TRY(seized_->complete(deadline, stop));
  } else {
    seized_.emplace(TRY(SeizedTask::freeze(handle_, deadline, stop)));
  }
  log::info("pid {}: {} threads stopped", pid().value, seized_->threads().size());
  return {};
}

Result<void> TaskDump::inject(const Deadline& deadline, const StopRequest& stop, StubRoom room) {
  infected_.emplace(TRY(InfectedTask::inject(*seized_, deadline, stop, room)));
  return {};
}

Result<void> TaskDump::collect_task(Refusals& refusals) {
  task_.emplace(TRY(task::collect_task(*seized_, *infected_, sleeps_, refusals)));
  return {};
}

Result<void> TaskDump::collect_memory(uint32_t id, const std::vector<TaskDump*>& sharers,
                                      const Options& options, memory::VmaReader& vmas,
                                      const MemoryTables& tables, Refusals& refusals) {
  memory::CollectOptions collect;
  collect.id = id;
  collect.parasite_area = {infected_->area_start().value, infected_->area_end().value};
  for (const TaskDump* sharer : sharers)
    collect.other_areas.push_back(
        {sharer->infected_->area_start().value, sharer->infected_->area_end().value});
  collect.current_brk = RemoteAddr(task_->report.program_break);
  collect.ghost_limit_bytes = options.ghost_limit_bytes;
  collect.vmas = &vmas;
  collect.is_tracked = [this] { return memory::Increment::is_tracked(handle_); };
  collect.vdso_images = &tables.vdso_images;
  space_.emplace(TRY(memory::collect_address_space(handle_, collect, tables.shared_memory,
                                                   tables.mapped_files, refusals)));
  TRY(memory::collect_policies(*infected_, *space_));
  task::describe_address_space(task_->report, space_->space);
  task_->task.set_address_space_id(id);
  for (TaskDump* sharer : sharers) sharer->task_->task.set_address_space_id(id);
  return {};
}

// The parasite copies each page once, the engine twice; but giving the parasite a descriptor takes
// as long as copying a mebibyte does.
Result<bool> TaskDump::parasite_pays(const Options& options,
                                     const image::CheckpointWriter& writer) {
  constexpr uint64_t kFewPages = 256;
  if (writer.pages().dedups() || compares_content_) return false;  // pages are compared on the way
  if (options.transfer != Transfer::kAuto) return options.transfer == Transfer::kParasite;
  const auto usage = TRY(procfs::parse_statm(TRY(handle_.proc().read("statm"))));
  return usage.private_pages() > kFewPages;
}

Result<std::unique_ptr<memory::PageTransfer>> TaskDump::make_transfer(
    InfectedTask& infected, HostPid pid, const Options& options, image::CheckpointWriter& writer) {
  const Span span("write memory: channel");
  std::unique_ptr<memory::PageTransfer> made;
  if (TRY(parasite_pays(options, writer)) && infected.can_receive_fds()) {
    made = TRY(memory::make_parasite_transfer(infected, pid, writer.pages()));
  } else if (options.transfer == Transfer::kParasite) {
    return fail(ErrorKind::kRefused,
                "the parasite can't take a descriptor: the target's descriptor table is full");
  } else {
    made = TRY(memory::make_vm_readv_transfer(pid, writer.pages()));
  }
  transfer_name_ = made->name();
  return made;
}

Result<void> TaskDump::take_snapshot(memory::Snapshots& snapshots, memory::Increment& increment) {
  // Before the fork, which does not inherit what a tracker knows.
  changes_.emplace(TRY(increment.begin(handle_, *infected_, *space_)));
  compares_content_ = increment.compares_content();
  const uint64_t private_bytes = space_->private_total_bytes;
  const uint64_t to_write = changes_->bytes_to_write().value_or(private_bytes);
  if (auto taken = TRY(snapshots.take(*seized_, *infected_, private_bytes, to_write)))
    snapshot_.emplace(std::move(*taken));
  was_copied_ = snapshot_.has_value();
  return {};
}

Result<void> TaskDump::write_memory(const Options& options, const memory::TreePages& tree,
                                    image::CheckpointWriter& writer, const StopRequest& stop,
                                    Progress& progress) {
  if (was_copied_ && !memory::leaves_out(memory::SecondPart::kFromCopy, *space_)) return {};
  const auto transfer = TRY(make_transfer(*infected_, pid(), options, writer));
  const Span private_pages("write memory: pages");
  const memory::PageSource source{handle_, *transfer, nullptr, changes_->changes(), tree};
  pages_ = was_copied_ ? TRY(memory::dump_left_out_pages(source, *space_, writer, stop, progress,
                                                         snapshot_->left_out))
                       : TRY(memory::dump_pages(source, *space_, writer, stop, progress));
  log::info("pid {}: {} pages looked at, {} written by {}, {} zero, {} of other tasks", pid().value,
            pages_.scanned, pages_.written, transfer_name_, pages_.zero, pages_.shared);
  return {};
}

Result<void> TaskDump::open_copy(const Options& options, const StopRequest& stop) {
  return snapshot_->copy.open(Deadline::in(options.timeout), stop);
}

Result<void> TaskDump::write_copy(const Options& options, const memory::TreePages& tree,
                                  RateLimit& limit, image::CheckpointWriter& writer,
                                  const StopRequest& stop, Progress& progress) {
  MemoryCopy& copy = snapshot_->copy;
  {
    const auto transfer = TRY(make_transfer(copy.infected(), copy.pid(), options, writer));
    const memory::PageSource source{copy.task(), *transfer, &limit, changes_->changes(), tree};
    pages_ += TRY(
        memory::dump_remaining_pages(source, *space_, snapshot_->left_out, writer, stop, progress));
  }
  log::info("pid {}: {} pages looked at, {} written by {} from a copy, {} zero, {} of other tasks",
            pid().value, pages_.scanned, pages_.written, transfer_name_, pages_.zero,
            pages_.shared);
  TRY(copy.end());
  snapshot_.reset();
  return {};
}

pb::TaskDumpStats TaskDump::stats() const {
  pb::TaskDumpStats stats;
  stats.set_pid(task_->task.pid());
  stats.set_pages_scanned(pages_.scanned);
  stats.set_pages_written(pages_.written);
  stats.set_pages_zero(pages_.zero);
  stats.set_transfer(transfer_name_);
  stats.set_copied(was_copied_);
  return stats;
}

Result<void> TaskDump::cure() {
  TRY(infected_->cure());
  infected_.reset();
  return {};
}

Result<void> TaskDump::release(SeizedTask::Mode mode) {
  if (task_ && mode != SeizedTask::Mode::kKill) task::wait_on_in_place(task_->timed_waits);
  return seized_->release(mode);
}

}  // namespace cryostat::dump
