#include "engine/memory/dump_pages.h"

#include <fmt/format.h>
#include <sys/mman.h>

#include <algorithm>
#include <memory>
#include <utility>
#include <vector>

#include "engine/image/checkpoint_writer.h"
#include "engine/memory/address_space.h"
#include "engine/memory/page_batch.h"
#include "engine/memory/page_selection.h"
#include "engine/memory/page_transfer.h"
#include "engine/memory/pagemap_writer.h"
#include "engine/procfs/task_handle.h"

namespace cryostat::memory {

namespace {

// The private pages of one address space.
class AddressSpaceDump {
 public:
  AddressSpaceDump(const TaskHandle& task, AddressSpaceState& state, PageTransfer& transfer,
                   PageScanner scanner, image::CheckpointWriter& writer, const StopRequest& stop,
                   Progress& progress)
      : task_(task),
        state_(state),
        transfer_(&transfer),
        direct_(transfer),
        scanner_(std::move(scanner)),
        writer_(writer),
        pagemap_(writer, pb::PageRuns::ADDRESS_SPACE, state.space.id()),
        stop_(stop),
        progress_(progress) {}

  Result<PageCounts> run() {
    uint64_t expected = 0;
    for (const uint64_t bytes : state_.private_bytes) expected += bytes;
    progress_.add_total(expected);
    TRY(scanner_.uses_pagemap_scan() ? scan_all() : scan_each());
    TRY(move_batch());
    TRY(pagemap_.flush());
    return counts_;
  }

 private:
  // One scan of the whole address space: the kernel skips what is not mapped faster than we could.
  Result<void> scan_all() {
    if (state_.vmas.empty()) return {};
    size_t vma = 0;
    return scanner_.scan({state_.vmas.front().start(), state_.vmas.back().end()},
                         [&](const PageRange& range) -> Result<void> {
                           while (vma < state_.vmas.size() && state_.vmas[vma].end() <= range.start)
                             ++vma;
                           for (size_t i = vma;
                                i < state_.vmas.size() && state_.vmas[i].start() < range.end; ++i)
                             TRY(add_part(state_.vmas[i], range));
                           return {};
                         });
  }

  // /proc/pid/pagemap has an entry for every page, mapped or not: areas without pages are left out.
  Result<void> scan_each() {
    for (size_t i = 0; i < state_.vmas.size(); ++i) {
      pb::Vma& vma = state_.vmas[i];
      if (state_.private_bytes[i] == 0) continue;
      TRY(scanner_.scan({vma.start(), vma.end()},
                        [&](const PageRange& range) { return add_part(vma, range); }));
    }
    return {};
  }

  // The part of `range` that lies in `vma` and has to be saved with it.
  Result<void> add_part(pb::Vma& vma, const PageRange& range) {
    if (vma.backing() == pb::Vma::VDSO || vma.backing() == pb::Vma::VVAR) return {};
    if (!range.guard && (vma.shared() || vma.droppable())) return {};
    if (std::exchange(last_vma_, &vma) != &vma) batch_.end_run();
    TRY(use_transfer_for(vma));
    return add_range(
        vma, {std::max(range.start, vma.start()), std::min(range.end, vma.end()), range.guard});
  }

  // What the target may not read, the parasite can't, and process_vm_readv does not.
  Result<void> use_transfer_for(const pb::Vma& vma) {
    const bool readable = (vma.protection() & PROT_READ) != 0 && vma.protection_key() == 0;
    if (!readable && !forced_) forced_ = TRY(make_forced_transfer(task_, writer_.pages()));
    PageTransfer* const wanted = readable ? &direct_ : forced_.get();
    if (wanted == transfer_) return {};
    TRY(move_batch());
    transfer_ = wanted;
    return {};
  }

  Result<void> add_range(pb::Vma& vma, const PageRange& range) {
    if (range.guard) {
      vma.add_guard_pages(range.start);
      vma.add_guard_pages(range.end);
      return {};
    }
    for (uint64_t at = range.start; at < range.end;) {
      const uint64_t pages = std::min<uint64_t>((range.end - at) / kPageSize, UINT32_MAX);
      PageRun run = {at, static_cast<uint32_t>(pages)};
      at += pages * kPageSize;
      while (true) {
        batch_.add(run);
        if (run.page_count == 0) break;
        TRY(move_batch());
      }
    }
    return {};
  }

  Result<void> move_batch() {
    if (batch_.empty()) return {};
    TRY(stop_.check());
    stored_.clear();
    TRY(transfer_->move(batch_.runs(), stored_));
    for (const StoredRun& run : stored_) TRY(add_stored(run));
    counts_.scanned += batch_.page_count();
    progress_.advance(batch_.page_count() * kPageSize);
    batch_.clear();
    return {};
  }

  Result<void> add_stored(const StoredRun& run) {
    if (run.page_index != image::kZeroPage) {
      counts_.written += run.page_count;
      return pagemap_.add(run);
    }
    counts_.zero += run.page_count;
    return hides_file_content(run.address) ? pagemap_.add(run) : Result<void>{};
  }

  // A zero page in a private file mapping hides what the file has there; in anonymous memory it is
  // as good as none. Runs come in address order, so the VMA is found by going on from the last one.
  bool hides_file_content(uint64_t address) {
    while (state_.vmas[zero_vma_].end() <= address) ++zero_vma_;
    const auto backing = state_.vmas[zero_vma_].backing();
    return backing == pb::Vma::FILE || backing == pb::Vma::SHARED_MEMORY;
  }

  const TaskHandle& task_;
  AddressSpaceState& state_;
  PageTransfer* transfer_;
  PageTransfer& direct_;
  std::unique_ptr<PageTransfer> forced_;
  PageScanner scanner_;
  image::CheckpointWriter& writer_;
  PagemapWriter pagemap_;
  const StopRequest& stop_;
  Progress& progress_;
  PageBatch batch_;
  std::vector<StoredRun> stored_;
  PageCounts counts_;
  const pb::Vma* last_vma_ = nullptr;
  size_t zero_vma_ = 0;
};

}  // namespace

Result<PageCounts> dump_pages(const TaskHandle& task, AddressSpaceState& state,
                              PageTransfer& transfer, image::CheckpointWriter& writer,
                              const StopRequest& stop, Progress& progress) {
  PageScanner scanner = TRY(PageScanner::open(task));
  AddressSpaceDump dump(task, state, transfer, std::move(scanner), writer, stop, progress);
  return TRY_IN(dump.run(), fmt::format("save the memory of pid {}", task.pid().value));
}

}  // namespace cryostat::memory
