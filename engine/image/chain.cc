#include "engine/image/chain.h"

#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>

#include "engine/base/ids.h"
#include "engine/base/span.h"
#include "proto/manifest.pb.h"

namespace cryostat::image {

namespace {

uint64_t end_of(const PageRun& run) { return run.address + uint64_t{run.page_count} * kPageSize; }

bool is_stored(const PageRun& run) {
  return run.page_index != kZeroPage && run.page_index != kInParentPage;
}

// The part of `run` in [start, end), which lies inside it.
PageRun part_of(const PageRun& run, uint64_t start, uint64_t end) {
  PageRun part = run;
  part.address = start;
  part.page_count = static_cast<uint32_t>((end - start) / kPageSize);
  if (is_stored(run)) part.page_index += (start - run.address) / kPageSize;
  return part;
}

// The parts of `runs` that `wanted` covers; both ascend.
std::vector<PageRun> cut_out(const std::vector<PageRun>& runs, const std::vector<PageRun>& wanted) {
  std::vector<PageRun> parts;
  auto run = runs.begin();
  for (const PageRun& span : wanted) {
    while (run != runs.end() && end_of(*run) <= span.address) ++run;
    for (auto at = run; at != runs.end() && at->address < end_of(span); ++at)
      parts.push_back(
          part_of(*at, std::max(at->address, span.address), std::min(end_of(*at), end_of(span))));
  }
  return parts;
}

std::string parent_folder(const CheckpointReader& member) {
  const std::string& path = member.manifest().parent().path();
  return path.starts_with('/') ? path : member.directory() + "/" + path;
}

}  // namespace

// Members and their images stay where they are while others are added.
Chain::Chain(CheckpointReader head) {
  members_.reserve(kMaxChainLength);
  written_.reserve(kMaxChainLength);
  members_.push_back(std::move(head));
}

Result<Chain> Chain::open(const std::string& directory) {
  const Span span("image.chain");
  Chain chain(TRY(CheckpointReader::open(directory)));
  TRY(chain.resolve());
  TRY(chain.check_freed());
  return chain;
}

Result<void> Chain::open_parent() {
  const CheckpointReader& child = members_.back();
  const pb::Parent& parent = child.manifest().parent();
  if (!child.manifest().has_parent())
    return fail(ErrorKind::kImages, fmt::format("{}: needs pages of a parent that it does not name",
                                                child.directory()));
  if (members_.size() == kMaxChainLength)
    return fail(ErrorKind::kImages, fmt::format("{}: more than {} checkpoints build on each other",
                                                head().directory(), kMaxChainLength));
  auto opened = CheckpointReader::open(parent_folder(child));
  if (!opened) {
    Error error = std::move(opened).error();
    const auto kind = error.kind();
    return tl::unexpected(
        std::move(error)
            .in(fmt::format("{} builds on {}", child.directory(), parent.path()))
            .as(kind == ErrorKind::kFailed ? ErrorKind::kImages : kind)
            .with_hint("an increment needs the checkpoints it builds on where they were"));
  }
  if (opened->manifest().checkpoint_id() != parent.checkpoint_id())
    return fail(ErrorKind::kImages,
                fmt::format("{} builds on checkpoint {}, but {} holds checkpoint {}",
                            child.directory(), parent.checkpoint_id(), opened->directory(),
                            opened->manifest().checkpoint_id()));
  members_.push_back(std::move(*opened));
  return {};
}

// What pagemap.img of a member says; opens the member when that was not done yet.
Result<const PagemapImage*> Chain::written_pagemap(size_t member) {
  while (members_.size() <= member) TRY(open_parent());
  while (written_.size() <= member) {
    written_.push_back(TRY(load_pagemap(members_[written_.size()])));
  }
  return &written_[member];
}

// Follows in-parent runs up the chain until every page is found, or known to be in no run.
Result<void> Chain::resolve_owner(const PagemapImage::Key& key, const std::vector<PageRun>& runs) {
  std::vector<PageRun>& resolved = pagemap_.owners[key];
  std::vector<PageRun> at_hand = runs;
  PagemapImage::Key owner = key;
  for (uint32_t member = 0;; ++member) {
    std::vector<PageRun> wanted;
    for (PageRun& run : at_hand) {
      if (run.page_index == kInParentPage) {
        wanted.push_back(run);
        continue;
      }
      run.store = is_stored(run) ? run.store + member : 0;
      resolved.push_back(run);
    }
    if (wanted.empty()) break;
    const auto& parent_owners = written_[member].parent_owners;
    const auto parent_owner = parent_owners.find(owner);
    if (parent_owner == parent_owners.end())
      return fail(ErrorKind::kImages, fmt::format("{}: pages in a parent that is not named",
                                                  members_[member].directory()));
    owner.second = parent_owner->second;
    const PagemapImage* parent = TRY(written_pagemap(member + 1));
    at_hand = cut_out(parent->runs(owner.first, owner.second), wanted);
  }
  std::sort(resolved.begin(), resolved.end(),
            [](const PageRun& a, const PageRun& b) { return a.address < b.address; });
  return {};
}

Result<void> Chain::resolve() {
  const PagemapImage* const own = TRY(written_pagemap(0));
  for (const auto& [key, runs] : own->owners) TRY(resolve_owner(key, runs));
  uint32_t deepest = 0;
  for (const auto& [key, runs] : pagemap_.owners)
    for (const PageRun& run : runs) deepest = std::max(deepest, run.store);
  while (members_.size() <= deepest) TRY(open_parent());
  for (const auto& [key, runs] : pagemap_.owners)
    for (const PageRun& run : runs) {
      const uint64_t pages = members_[run.store].page_count();
      if (is_stored(run) && (run.page_index >= pages || run.page_count > pages - run.page_index))
        return fail(
            ErrorKind::kImages,
            fmt::format("{}: pages {}+{} are past the end of pages.img ({} pages)",
                        members_[run.store].directory(), run.page_index, run.page_count, pages));
    }
  return {};
}

std::vector<std::vector<StoreRange>> Chain::used_pages() const {
  std::vector<std::vector<StoreRange>> used(members_.size());
  for (const auto& [key, runs] : pagemap_.owners)
    for (const PageRun& run : runs)
      if (is_stored(run)) used[run.store].push_back({run.page_index, run.page_count});
  for (auto& ranges : used) {
    std::sort(ranges.begin(), ranges.end(),
              [](const StoreRange& a, const StoreRange& b) { return a.first < b.first; });
    size_t kept = 0;
    for (const StoreRange& range : ranges) {
      if (kept > 0 && range.first <= ranges[kept - 1].first + ranges[kept - 1].count) {
        StoreRange& last = ranges[kept - 1];
        last.count = std::max(last.first + last.count, range.first + range.count) - last.first;
      } else {
        ranges[kept++] = range;
      }
    }
    ranges.resize(kept);
  }
  return used;
}

// cr-dedup leaves holes. No stored page is one: zero pages are not stored.
Result<void> Chain::check_freed() const {
  const auto used = used_pages();
  for (size_t store = 0; store < members_.size(); ++store) {
    const CheckpointReader& member = members_[store];
    const auto size = static_cast<off_t>(member.page_count() * kPageSize);
    if (member.packed()) continue;  // nothing is freed there
    if (size == 0 || lseek(member.pages_fd(), 0, SEEK_HOLE) == size) continue;
    for (const StoreRange& range : used[store]) {
      const auto start = static_cast<off_t>(range.first * kPageSize);
      const auto end = static_cast<off_t>((range.first + range.count) * kPageSize);
      const off_t hole = lseek(member.pages_fd(), start, SEEK_HOLE);
      if (hole < 0 || hole >= end) continue;
      return tl::unexpected(
          Error(ErrorKind::kImages,
                fmt::format("{}: page {} was freed by cr-dedup", member.directory(),
                            static_cast<uint64_t>(hole) / kPageSize))
              .with_hint("restore the later checkpoint that it was deduplicated for"));
    }
  }
  return {};
}

Result<void> Chain::load_pages(unsigned threads, const StopRequest& stop) {
  const auto used = used_pages();
  for (size_t store = 0; store < members_.size(); ++store)
    if (store == 0 || !used[store].empty()) TRY(members_[store].load_pages(threads, stop));
  return {};
}

Result<void> Chain::verify_pages(unsigned threads, const StopRequest& stop) const {
  const auto used = used_pages();
  for (size_t store = 0; store < members_.size(); ++store)
    TRY(members_[store].verify_pages(
        store == 0 ? std::vector<StoreRange>{{0, head().page_count()}} : used[store], threads,
        stop));
  return {};
}

}  // namespace cryostat::image
