#include "engine/memory/shared_frames.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "engine/base/ids.h"
#include "engine/image/format.h"
#include "engine/kernel/pagemap_scan.h"
#include "engine/memory/address_space.h"
#include "engine/memory/page_selection.h"
#include "engine/memory/pagemap_entries.h"
#include "engine/procfs/task_handle.h"

namespace cryostat::memory {

namespace {

// Entries read at once, and how many useless ones between two ranges are read along: a system call
// takes as long as some hundred entries.
constexpr uint64_t kWindowPages = 8192;
constexpr uint64_t kGapPages = 128;

bool may_be_shared(uint64_t entry) {
  return (entry & kernel::kPagemapPresent) != 0 && (entry & kernel::kPagemapExclusive) == 0 &&
         entry_kind(entry) == EntryKind::kPage;
}

// The areas that can have private pages, joined where they touch.
std::vector<RemoteRange> private_areas(const AddressSpaceState& state) {
  std::vector<RemoteRange> areas;
  for (size_t i = 0; i < state.vmas.size(); ++i) {
    const pb::Vma& vma = state.vmas[i];
    if (vma.shared() || vma.dont_fork() || vma.hugetlb_page_size_bytes() != 0 ||
        state.private_bytes[i] == 0)
      continue;
    if (!areas.empty() && areas.back().end == vma.start())
      areas.back().end = vma.end();
    else
      areas.push_back({vma.start(), vma.end()});
  }
  return areas;
}

}  // namespace

Result<void> SharedFrames::add(const TaskHandle& task, const AddressSpaceState& state) {
  const auto number = static_cast<uint32_t>(tasks_.size());
  PageScanner scanner = TRY(PageScanner::open(task));
  tasks_.emplace_back();
  tasks_.back().pagemap = TRY(task.proc().open_file("pagemap", O_RDONLY));
  std::vector<PageRange> window;
  const auto flush = [&]() -> Result<void> {
    if (!window.empty()) TRY(read(number, window));
    window.clear();
    return {};
  };
  const auto take = [&](const PageRange& range) -> Result<void> {
    if (range.guard) return {};
    for (uint64_t at = range.start; at < range.end;) {
      const bool near = !window.empty() && at - window.back().end <= kGapPages * kPageSize &&
                        at - window.front().start < kWindowPages * kPageSize;
      if (!near) TRY(flush());
      const uint64_t first = window.empty() ? at : window.front().start;
      const uint64_t end = std::min(range.end, first + kWindowPages * kPageSize);
      window.push_back({at, end});
      at = end;
    }
    return {};
  };
  for (const RemoteRange& area : private_areas(state)) TRY(scanner.scan(area, take));
  return flush();
}

// `ranges` ascending, within one window.
Result<void> SharedFrames::read(uint32_t task, std::span<const PageRange> ranges) {
  const uint64_t start = ranges.front().start;
  entries_.resize((ranges.back().end - start) / kPageSize);
  TRY(read_pagemap_entries(tasks_[task].pagemap.get(), start, entries_));
  for (const PageRange& range : ranges)
    note(task, range.start,
         Entries(entries_).subspan((range.start - start) / kPageSize,
                                   (range.end - range.start) / kPageSize));
  return {};
}

void SharedFrames::note(uint32_t task, uint64_t address, Entries entries) {
  for (const uint64_t entry : entries) {
    if (may_be_shared(entry)) {
      const uint64_t frame = entry & kernel::kPagemapPfnMask;
      if (frame == 0) {
        ++hidden_pages_;
      } else {
        const PagePlace owner = frames_.first(frame, {task, address});
        // A page that one task maps twice (KSM) is not looked for.
        if (owner.task != task) share(tasks_[task], address, owner);
      }
    }
    address += kPageSize;
  }
}

void SharedFrames::share(Task& task, uint64_t address, const PagePlace& owner) {
  tasks_[owner.task].owns = true;
  if (!task.shared.empty()) {
    SharedRun& last = task.shared.back();
    const uint64_t bytes = uint64_t{last.page_count} * kPageSize;
    if (last.address + bytes == address && last.owner.task == owner.task &&
        last.owner.address + bytes == owner.address && last.page_count < UINT32_MAX) {
      ++last.page_count;
      return;
    }
  }
  task.shared.push_back({address, 1, owner});
}

Result<void> SharedFrames::settle() {
  std::vector<std::vector<PageRange>> owned(tasks_.size());
  for (const Task& task : tasks_)
    for (const SharedRun& run : task.shared)
      owned[run.owner.task].push_back(
          {run.owner.address, run.owner.address + run.page_count * kPageSize});
  for (uint32_t owner = 0; owner < owned.size(); ++owner) {
    auto& ranges = owned[owner];
    std::sort(ranges.begin(), ranges.end(), [](const PageRange& a, const PageRange& b) {
      return a.start != b.start ? a.start < b.start : a.end < b.end;
    });
    std::vector<PageRange> joined;
    for (const PageRange& range : ranges) {
      if (!joined.empty() && range.start <= joined.back().end)
        joined.back().end = std::max(joined.back().end, range.end);
      else
        joined.push_back(range);
    }
    TRY(find_moved(owner, joined));
  }
  for (Task& task : tasks_) {
    if (!moved_.empty()) drop_moved(task);
    task.pagemap.reset();
  }
  return {};
}

Result<void> SharedFrames::find_moved(uint32_t owner, const std::vector<PageRange>& ranges) {
  for (const PageRange& range : ranges) {
    for (uint64_t at = range.start; at < range.end;) {
      entries_.resize(std::min(kWindowPages, (range.end - at) / kPageSize));
      TRY(read_pagemap_entries(tasks_[owner].pagemap.get(), at, entries_));
      for (const uint64_t entry : entries_) {
        const bool there = (entry & kernel::kPagemapPresent) != 0 &&
                           frames_.is_at(entry & kernel::kPagemapPfnMask, {owner, at});
        if (!there) moved_.emplace(owner, at);
        at += kPageSize;
      }
    }
  }
  return {};
}

void SharedFrames::drop_moved(Task& task) const {
  Task kept;
  for (const SharedRun& run : task.shared) {
    for (uint64_t offset = 0; offset < run.page_count * kPageSize; offset += kPageSize) {
      const PagePlace owner{run.owner.task, run.owner.address + offset};
      if (moved_.contains({owner.task, owner.address})) continue;
      SharedRun* last = kept.shared.empty() ? nullptr : &kept.shared.back();
      const uint64_t bytes = last == nullptr ? 0 : last->page_count * kPageSize;
      if (last != nullptr && last->address + bytes == run.address + offset &&
          last->owner.task == owner.task && last->owner.address + bytes == owner.address)
        ++last->page_count;
      else
        kept.shared.push_back({run.address + offset, 1, owner});
    }
  }
  task.shared = std::move(kept.shared);
}

void SharedFrames::remember(size_t task, const StoredRun& run, uint32_t parent_owner_id) {
  Task& owner = tasks_[task];
  if (!owner.owns) return;
  owner.parent_owner_id = parent_owner_id;
  owner.stored.push_back(run);
}

SharedFrames::Answer SharedFrames::find(size_t task, uint64_t address, uint64_t end) const {
  const auto after = [](uint64_t wanted, const auto& run) { return wanted < run.address; };
  const auto& shared = tasks_[task].shared;
  const auto next = std::upper_bound(shared.begin(), shared.end(), address, after);
  Answer answer;
  answer.page_count =
      (std::min(end, next == shared.end() ? end : next->address) - address) / kPageSize;
  if (next == shared.begin()) return answer;
  const SharedRun& run = *(next - 1);
  const uint64_t run_end = run.address + run.page_count * kPageSize;
  if (address >= run_end) return answer;
  // From here on the answer is about the pages of this run alone.
  answer.page_count = (std::min(end, run_end) - address) / kPageSize;
  const Task& owner = tasks_[run.owner.task];
  const uint64_t there = run.owner.address + (address - run.address);
  const auto stored_after =
      std::upper_bound(owner.stored.begin(), owner.stored.end(), there, after);
  if (stored_after != owner.stored.end())
    answer.page_count = std::min(answer.page_count, (stored_after->address - there) / kPageSize);
  if (stored_after == owner.stored.begin()) return answer;
  const StoredRun& stored = *(stored_after - 1);
  const uint64_t into = (there - stored.address) / kPageSize;
  if (into >= stored.page_count) return answer;
  answer.page_count = std::min(answer.page_count, stored.page_count - into);
  answer.known = true;
  const bool is_place =
      stored.page_index != image::kZeroPage && stored.page_index != image::kInParentPage;
  answer.page_index = is_place ? stored.page_index + into : stored.page_index;
  answer.parent_owner_id = owner.parent_owner_id;
  answer.parent_address = there;
  return answer;
}

}  // namespace cryostat::memory
