#include "engine/dump/task_dump.h"

#include "engine/base/log.h"
#include "engine/base/span.h"
#include "engine/image/checkpoint_writer.h"
#include "engine/memory/page_transfer.h"
#include "engine/procfs/statm.h"

namespace cryostat::dump {

Result<void> TaskDump::freeze(const Deadline& deadline, const StopRequest& stop) {
  seized_.emplace(TRY(SeizedTask::freeze(handle_, deadline, stop)));
  log::info("pid {}: {} threads stopped", pid().value, seized_->threads().size());
  return {};
}

Result<void> TaskDump::inject(const Deadline& deadline, const StopRequest& stop) {
  infected_.emplace(TRY(InfectedTask::inject(*seized_, deadline, stop)));
  return {};
}

Result<void> TaskDump::collect_task(Refusals& refusals) {
  task_.emplace(TRY(task::collect_task(*seized_, *infected_, sleeps_, refusals)));
  return {};
}

Result<void> TaskDump::collect_memory(uint32_t id, const Options& options,
                                      memory::SmapsReader* smaps,
                                      memory::SharedMemoryTable& shared_memory,
                                      memory::MappedFileTable& mapped_files, Refusals& refusals) {
  memory::CollectOptions collect;
  collect.id = id;
  collect.parasite_area = {infected_->area_start().value, infected_->area_end().value};
  collect.current_brk = RemoteAddr(task_->report.program_break);
  collect.ghost_limit_bytes = options.ghost_limit_bytes;
  collect.smaps = smaps;
  space_.emplace(
      TRY(memory::collect_address_space(handle_, collect, shared_memory, mapped_files, refusals)));
  task::describe_address_space(task_->report, space_->space);
  task_->task.set_address_space_id(space_->space.id());
  return {};
}

// The parasite copies each page once, the engine twice; but giving the parasite a descriptor takes
// as long as copying a mebibyte does.
Result<bool> TaskDump::parasite_pays(Transfer transfer) {
  constexpr uint64_t kFewPages = 256;
  if (transfer != Transfer::kAuto) return transfer == Transfer::kParasite;
  const auto usage = TRY(procfs::parse_statm(TRY(handle_.proc().read("statm"))));
  return usage.private_pages() > kFewPages;
}

Result<std::unique_ptr<memory::PageTransfer>> TaskDump::make_transfer(
    Transfer transfer, image::CheckpointWriter& writer) {
  if (TRY(parasite_pays(transfer)) && infected_->can_receive_fds())
    return memory::make_parasite_transfer(*infected_, pid(), writer.pages());
  if (transfer == Transfer::kParasite) {
    return fail(ErrorKind::kRefused,
                "the parasite can't take a descriptor: the target's descriptor table is full");
  }
  return memory::make_vm_readv_transfer(pid(), writer.pages());
}

Result<void> TaskDump::write_memory(const Options& options, image::CheckpointWriter& writer,
                                    const StopRequest& stop, Progress& progress) {
  std::unique_ptr<memory::PageTransfer> transfer;
  {
    const Span channel("write memory: channel");
    transfer = TRY(make_transfer(options.transfer, writer));
    transfer_name_ = transfer->name();
  }
  const Span private_pages("write memory: pages");
  pages_ = TRY(memory::dump_pages(handle_, *space_, *transfer, writer, stop, progress));
  log::info("pid {}: {} pages looked at, {} written by {}, {} zero", pid().value, pages_.scanned,
            pages_.written, transfer_name_, pages_.zero);
  return {};
}

Result<void> TaskDump::cure() {
  TRY(infected_->cure());
  infected_.reset();
  return {};
}

Result<void> TaskDump::release(SeizedTask::Mode mode) { return seized_->release(mode); }

}  // namespace cryostat::dump
