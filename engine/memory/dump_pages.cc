#include "engine/memory/dump_pages.h"

#include <fmt/format.h>
#include <sys/mman.h>

#include <algorithm>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "engine/base/log.h"
#include "engine/image/checkpoint_writer.h"
#include "engine/memory/address_space.h"
#include "engine/memory/page_batch.h"
#include "engine/memory/page_selection.h"
#include "engine/memory/page_transfer.h"
#include "engine/memory/pagemap_writer.h"
#include "engine/memory/parent_content.h"
#include "engine/memory/shared_frames.h"
#include "engine/procfs/task_handle.h"
#include "proto/stats.pb.h"

namespace cryostat::memory {

namespace {

// Which VMAs.
enum class Part : uint8_t { kAll, kLeftOut, kRemaining };

// What is not, or not reliably, in a fork of the memory: areas with MADV_DONTFORK, emptied ones
// (MADV_WIPEONFORK), and private huge pages, which the kernel takes away from a child when the
// parent writes and the pool is empty (hugetlb_wp() in mm/hugetlb.c).
bool left_out_by_fork(const pb::Vma& vma) {
  return vma.dont_fork() || vma.wipe_on_fork() ||
         (vma.hugetlb_page_size_bytes() != 0 && !vma.shared());
}

// Through /proc/<pid>/mem it can be read by whoever traces the task; by others only on kernels that
// still allow it (PROC_MEM_ALWAYS_FORCE, 6.12).
bool is_readable(const pb::Vma& vma) {
  return (vma.protection() & PROT_READ) != 0 && vma.protection_key() == 0;
}

bool is_left_out(SecondPart second_part, const pb::Vma& vma) {
  return second_part == SecondPart::kFromCopy ? left_out_by_fork(vma) : !is_readable(vma);
}

// Where runs go: to the records, or to a list to be merged into them later.
struct RunTargets {
  std::vector<StoredRun>* keep = nullptr;  // kLeftOut: all of them
  std::span<const StoredRun> merge = {};   // kRemaining: those kept before
};

// The private pages of one address space.
class AddressSpaceDump {
 public:
  AddressSpaceDump(const PageSource& source, Part part, RunTargets runs, AddressSpaceState& state,
                   PageFinder& finder, image::CheckpointWriter& writer, const StopRequest& stop,
                   Progress& progress)
      : task_(source.task),
        part_(part),
        second_part_(source.second_part),
        runs_(runs),
        state_(state),
        transfer_(&source.transfer),
        direct_(source.transfer),
        finder_(finder),
        changes_(source.changes),
        tree_(source.tree),
        parent_owner_id_(source.changes.parent_owner_id),
        writer_(writer),
        pagemap_(writer, pb::PageRuns::ADDRESS_SPACE, state.space.id(),
                 source.changes.parent_owner_id),
        stop_(stop),
        progress_(progress),
        limit_(source.limit),
        batch_(batch_pages(source.limit)) {
    source.transfer.compare_with(changes_.parent);
  }

  Result<PageCounts> run() {
    uint64_t expected = 0;
    for (size_t i = 0; i < state_.vmas.size(); ++i)
      if (is_mine(state_.vmas[i])) expected += state_.private_bytes[i];
    progress_.add_total(std::min(expected, state_.private_total_bytes));
    const bool few = part_ == Part::kLeftOut;
    TRY(finder_.skips_gaps() && !few ? scan_all() : scan_each());
    TRY(move_batch());
    TRY(merge_up_to(UINT64_MAX));
    TRY(pagemap_.flush());
    return counts_;
  }

 private:
  static uint32_t batch_pages(const RateLimit* limit) {
    if (limit == nullptr) return wire::kTransferMaxPages;
    return static_cast<uint32_t>(limit->portion_bytes(wire::kTransferMaxPages * kPageSize) /
                                 kPageSize);
  }

  bool is_mine(const pb::Vma& vma) const {
    return part_ == Part::kAll || is_left_out(second_part_, vma) == (part_ == Part::kLeftOut);
  }

  // One scan of the whole address space: the kernel skips what is not mapped faster than we could.
  Result<void> scan_all() {
    if (state_.vmas.empty()) return {};
    size_t vma = 0;
    return finder_.scan({state_.vmas.front().start(), state_.vmas.back().end()},
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
      // Guard pages show nowhere else.
      const bool may_have_guards = finder_.skips_gaps();
      if (!is_mine(vma) || (state_.private_bytes[i] == 0 && !may_have_guards)) continue;
      TRY(finder_.scan({vma.start(), vma.end()},
                       [&](const PageRange& range) { return add_part(vma, range); }));
    }
    return {};
  }

  // The part of `range` that lies in `vma` and has to be saved with it.
  Result<void> add_part(pb::Vma& vma, const PageRange& range) {
    if (!is_mine(vma)) return {};
    if (vma.backing() == pb::Vma::VDSO || vma.backing() == pb::Vma::VVAR) return {};
    if (!range.guard && (vma.shared() || vma.droppable())) return {};
    PageRange part = range;
    part.start = std::max(range.start, vma.start());
    part.end = std::min(range.end, vma.end());
    if (part.unchanged && !changes_.verify) return add_unchanged(part);
    if (std::exchange(last_vma_, &vma) != &vma) batch_.end_run();
    TRY(use_transfer_for(vma));
    if (claimed_unchanged_ != part.unchanged) TRY(move_batch());
    claimed_unchanged_ = part.unchanged;
    return add_range(vma, part);
  }

  Result<void> add_unchanged(const PageRange& range) {
    return add_settled(range, image::kInParentPage);
  }

  // Pages whose place is known, from `page_index` on. They go into the pagemap behind what is still
  // to be moved.
  Result<void> add_settled(const PageRange& range, uint64_t page_index) {
    constexpr size_t kMostRuns = 4096;
    const bool is_place = page_index != image::kZeroPage && page_index != image::kInParentPage;
    for (uint64_t at = range.start; at < range.end;) {
      const uint64_t pages = std::min<uint64_t>((range.end - at) / kPageSize, UINT32_MAX);
      settled_.push_back({at, page_index, static_cast<uint32_t>(pages)});
      if (is_place) page_index += pages;
      at += pages * kPageSize;
    }
    progress_.advance(range.end - range.start);
    return settled_.size() < kMostRuns ? Result<void>{} : move_batch();
  }

  // Splits a range into what another task has stored already and what is to be moved.
  Result<void> add_pages(const PageRange& range) {
    for (uint64_t at = range.start; at < range.end;) {
      SharedFrames::Answer there;
      there.page_count = (range.end - at) / kPageSize;
      if (tree_.frames != nullptr) there = tree_.frames->find(tree_.task, at, range.end);
      const PageRange part{at, at + there.page_count * kPageSize};
      const bool known = there.known && means_the_same(there, at);
      TRY(known ? add_settled(part, there.page_index) : add_moved(part));
      at = part.end;
    }
    return {};
  }

  // The other task's page is in the parent checkpoint: under an owner that is ours too, or that can
  // become ours, as this task was not in the parent?
  bool means_the_same(const SharedFrames::Answer& there, uint64_t address) {
    if (there.page_index != image::kInParentPage) return true;
    if (there.parent_owner_id == 0 || there.parent_address != address) return false;
    if (parent_owner_id_ == 0) {
      parent_owner_id_ = there.parent_owner_id;
      pagemap_.set_parent_owner(parent_owner_id_);
    }
    return parent_owner_id_ == there.parent_owner_id;
  }

  // What the target may not read, the parasite can't, and process_vm_readv does not.
  Result<void> use_transfer_for(const pb::Vma& vma) {
    const bool readable = is_readable(vma);
    if (!readable && !forced_) {
      forced_ = TRY(make_forced_transfer(task_, writer_.pages(),
                                         changes_.running ? Vanished::kSkip : Vanished::kFails));
      forced_->compare_with(changes_.parent);
    }
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
    return add_pages(range);
  }

  Result<void> add_moved(const PageRange& range) {
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

  // Moves the batch; its runs and the settled ones become records in address order.
  Result<void> move_batch() {
    stored_.clear();
    if (!batch_.empty()) {
      TRY(stop_.check());
      TRY(transfer_->move(batch_.runs(), stored_));
      counts_.scanned += batch_.page_count();
      progress_.advance(batch_.page_count() * kPageSize);
      if (limit_ != nullptr) TRY(limit_->spend(batch_.page_count() * kPageSize, stop_));
      batch_.clear();
    }
    auto settled = settled_.begin();
    for (const StoredRun& run : stored_) {
      for (; settled != settled_.end() && settled->address < run.address; ++settled)
        TRY(put_settled(*settled));
      TRY(add_stored(run));
    }
    for (; settled != settled_.end(); ++settled) TRY(put_settled(*settled));
    settled_.clear();
    return {};
  }

  Result<void> put_settled(const StoredRun& run) {
    if (run.page_index == image::kInParentPage) {
      if (tree_.frames != nullptr) tree_.frames->remember(tree_.task, run, parent_owner_id_);
      counts_.unchanged += run.page_count;
      return put(run);
    }
    counts_.shared += run.page_count;
    if (run.page_index != image::kZeroPage || hides_file_content(run.address)) return put(run);
    return {};
  }

  Result<void> add_stored(const StoredRun& run) {
    if (tree_.frames != nullptr) tree_.frames->remember(tree_.task, run, parent_owner_id_);
    if (changes_.verify && changes_.parent != nullptr) count_disagreement(run);
    if (run.page_index == image::kInParentPage) {
      counts_.unchanged += run.page_count;
      return put(run);
    }
    if (run.page_index != image::kZeroPage) {
      counts_.written += run.page_count;
      return put(run);
    }
    counts_.zero += run.page_count;
    return hides_file_content(run.address) ? put(run) : Result<void>{};
  }

  Result<void> put(const StoredRun& run) {
    if (runs_.keep != nullptr) {
      runs_.keep->push_back(run);
      return {};
    }
    TRY(merge_up_to(run.address));
    return pagemap_.add(run);
  }

  Result<void> merge_up_to(uint64_t address) {
    while (!runs_.merge.empty() && runs_.merge.front().address < address) {
      TRY(pagemap_.add(runs_.merge.front()));
      runs_.merge = runs_.merge.subspan(1);
    }
    return {};
  }

  void count_disagreement(const StoredRun& run) {
    const bool same = run.page_index == image::kInParentPage;
    if (!claimed_unchanged_) {
      counts_.overreported += same ? run.page_count : 0;
      return;
    }
    uint64_t missed = same ? 0 : run.page_count;
    // The parent has no run for a zero page of anonymous memory.
    if (run.page_index == image::kZeroPage) {
      for (uint32_t i = 0; i < run.page_count; ++i)
        missed -= changes_.parent->has(run.address + i * kPageSize) ? 0 : 1;
    }
    counts_.missed += missed;
    if (missed > 0) log::warn("the tracker missed {} written pages at {:x}", missed, run.address);
  }

  // A zero page in a private file mapping hides what the file has there; in anonymous memory it is
  // as good as none. Runs come in address order, so the VMA is found by going on from the last one.
  bool hides_file_content(uint64_t address) {
    while (state_.vmas[zero_vma_].end() <= address) ++zero_vma_;
    const auto backing = state_.vmas[zero_vma_].backing();
    return backing == pb::Vma::FILE || backing == pb::Vma::SHARED_MEMORY;
  }

  const TaskHandle& task_;
  const Part part_;
  const SecondPart second_part_;
  RunTargets runs_;
  AddressSpaceState& state_;
  PageTransfer* transfer_;
  PageTransfer& direct_;
  std::unique_ptr<PageTransfer> forced_;
  PageFinder& finder_;
  const PageChanges& changes_;
  const TreePages tree_;
  uint32_t parent_owner_id_;
  image::CheckpointWriter& writer_;
  PagemapWriter pagemap_;
  const StopRequest& stop_;
  Progress& progress_;
  RateLimit* const limit_;
  PageBatch batch_;
  std::vector<StoredRun> stored_;
  std::vector<StoredRun> settled_;  // since the last move
  bool claimed_unchanged_ = false;  // what the finder said of the batch
  PageCounts counts_;
  const pb::Vma* last_vma_ = nullptr;
  size_t zero_vma_ = 0;
};

Result<PageCounts> dump_part(const PageSource& source, Part part, RunTargets runs,
                             AddressSpaceState& state, image::CheckpointWriter& writer,
                             const StopRequest& stop, Progress& progress) {
  std::optional<PageScanner> scanner;
  PageFinder* finder = source.changes.finder;
  if (finder == nullptr) {
    scanner.emplace(TRY(PageScanner::open(source.task)));
    finder = &*scanner;
  }
  AddressSpaceDump dump(source, part, runs, state, *finder, writer, stop, progress);
  return TRY_IN(dump.run(), fmt::format("save the memory of pid {}", source.task.pid().value));
}

}  // namespace

PageCounts& PageCounts::operator+=(const PageCounts& other) {
  scanned += other.scanned;
  written += other.written;
  zero += other.zero;
  shared += other.shared;
  unchanged += other.unchanged;
  missed += other.missed;
  overreported += other.overreported;
  return *this;
}

void describe_counts(const PageCounts& counts, pb::DumpStats& stats) {
  stats.set_pages_scanned(counts.scanned);
  stats.set_pages_written(counts.written);
  stats.set_pages_zero(counts.zero);
  stats.set_bytes_written(counts.written * kPageSize);
  stats.set_pages_unchanged(counts.unchanged);
  stats.set_pages_shared(counts.shared);
  stats.set_pages_missed(counts.missed);
  stats.set_pages_overreported(counts.overreported);
}

Result<PageCounts> dump_pages(const PageSource& source, AddressSpaceState& state,
                              image::CheckpointWriter& writer, const StopRequest& stop,
                              Progress& progress) {
  return dump_part(source, Part::kAll, {}, state, writer, stop, progress);
}

Result<PageCounts> dump_left_out_pages(const PageSource& source, AddressSpaceState& state,
                                       image::CheckpointWriter& writer, const StopRequest& stop,
                                       Progress& progress, std::vector<StoredRun>& left_out) {
  return dump_part(source, Part::kLeftOut, {.keep = &left_out}, state, writer, stop, progress);
}

Result<PageCounts> dump_remaining_pages(const PageSource& source, AddressSpaceState& state,
                                        std::span<const StoredRun> left_out,
                                        image::CheckpointWriter& writer, const StopRequest& stop,
                                        Progress& progress) {
  return dump_part(source, Part::kRemaining, {.merge = left_out}, state, writer, stop, progress);
}

bool leaves_out(SecondPart second_part, const AddressSpaceState& state) {
  return std::ranges::any_of(
      state.vmas, [second_part](const pb::Vma& vma) { return is_left_out(second_part, vma); });
}

}  // namespace cryostat::memory
