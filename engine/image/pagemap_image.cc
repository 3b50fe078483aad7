#include "engine/image/pagemap_image.h"

#include <fmt/format.h>

#include "engine/base/ids.h"
#include "engine/image/chain.h"
#include "engine/image/checkpoint_reader.h"
#include "proto/manifest.pb.h"

namespace cryostat::image {

namespace {

constexpr uint64_t kMaxAddress = uint64_t{1} << 63;

// What is wrong with a run, if anything.
std::string check_run(const PageRun& run, const CheckpointReader& reader, bool parent_owner) {
  if (run.page_count == 0 || run.address % kPageSize != 0 || run.address >= kMaxAddress)
    return fmt::format("bad run of {} pages at {:x}", run.page_count, run.address);
  if (run.page_index == kZeroPage) return "";
  if (run.page_index == kInParentPage)
    return parent_owner && reader.manifest().has_parent()
               ? ""
               : fmt::format("pages at {:x} are in a parent that is not named", run.address);
  if (run.store > 0)
    return reader.manifest().has_parent() && run.store < kMaxChainLength
               ? ""
               : fmt::format("pages at {:x} are in a store that is not there", run.address);
  const uint64_t pages_in_file = reader.page_count();
  if (run.page_index >= pages_in_file || run.page_count > pages_in_file - run.page_index)
    return fmt::format("pages {}+{} are past the end of pages.img ({} pages)", run.page_index,
                       run.page_count, pages_in_file);
  return "";
}

// Appends the runs of one record to those of its owner; returns what is wrong, if anything.
std::string add_runs(const pb::PageRuns& record, const CheckpointReader& reader,
                     std::vector<PageRun>& runs) {
  if (record.page_count_size() != record.address_size() ||
      record.page_index_size() != record.address_size() ||
      (record.store_size() != 0 && record.store_size() != record.address_size()))
    return "arrays of different lengths";
  uint64_t end = runs.empty() ? 0 : runs.back().address + runs.back().page_count * kPageSize;
  for (int i = 0; i < record.address_size(); ++i) {
    PageRun run{record.address(i), record.page_index(i), record.page_count(i)};
    if (record.store_size() != 0) run.store = record.store(i);
    if (auto wrong = check_run(run, reader, record.parent_owner_id() != 0); !wrong.empty())
      return wrong;
    if (run.address < end)
      return fmt::format("runs overlap or are not in order at {:x}", run.address);
    runs.push_back(run);
    end = run.address + uint64_t{run.page_count} * kPageSize;
  }
  return "";
}

}  // namespace

const std::vector<PageRun>& PagemapImage::runs(pb::PageRuns::Owner owner, uint32_t owner_id) const {
  static const std::vector<PageRun> kNone;
  const auto found = owners.find({owner, owner_id});
  return found == owners.end() ? kNone : found->second;
}

Result<PagemapImage> load_pagemap(const CheckpointReader& reader) {
  auto records = TRY(reader.records(FileType::kPagemap));
  PagemapImage image;
  while (const auto record = TRY(records.next())) {
    const auto runs = TRY(records.parse<pb::PageRuns>(*record));
    if (!pb::PageRuns::Owner_IsValid(runs.owner()))
      return records.fail_at(*record,
                             fmt::format("unknown owner {}", static_cast<int>(runs.owner())));
    const PagemapImage::Key key{runs.owner(), runs.owner_id()};
    if (runs.parent_owner_id() != 0) {
      const auto known = image.parent_owners.emplace(key, runs.parent_owner_id()).first;
      if (known->second != runs.parent_owner_id())
        return records.fail_at(*record, "an owner with two owners in the parent");
    }
    if (const auto wrong = add_runs(runs, reader, image.owners[key]); !wrong.empty())
      return records.fail_at(*record, wrong);
  }
  return image;
}

}  // namespace cryostat::image
