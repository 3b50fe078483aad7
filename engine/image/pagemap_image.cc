#include "engine/image/pagemap_image.h"

#include <fmt/format.h>

#include "engine/base/ids.h"
#include "engine/image/checkpoint_reader.h"

namespace cryostat::image {

namespace {

constexpr uint64_t kMaxAddress = uint64_t{1} << 63;

// Appends the runs of one record to those of its owner; returns what is wrong, if anything.
std::string add_runs(const pb::PageRuns& record, uint64_t pages_in_file,
                     std::vector<PageRun>& runs) {
  if (record.page_count_size() != record.address_size() ||
      record.page_index_size() != record.address_size())
    return "arrays of different lengths";
  uint64_t end = runs.empty() ? 0 : runs.back().address + runs.back().page_count * kPageSize;
  for (int i = 0; i < record.address_size(); ++i) {
    const PageRun run{record.address(i), record.page_index(i), record.page_count(i)};
    if (run.page_count == 0 || run.address % kPageSize != 0 || run.address >= kMaxAddress)
      return fmt::format("bad run of {} pages at {:x}", run.page_count, run.address);
    if (run.address < end)
      return fmt::format("runs overlap or are not in order at {:x}", run.address);
    if (run.page_index != kZeroPage &&
        (run.page_index >= pages_in_file || run.page_count > pages_in_file - run.page_index))
      return fmt::format("pages {}+{} are past the end of pages.img ({} pages)", run.page_index,
                         run.page_count, pages_in_file);
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
    auto& owned = image.owners[{runs.owner(), runs.owner_id()}];
    if (const auto wrong = add_runs(runs, reader.page_count(), owned); !wrong.empty())
      return records.fail_at(*record, wrong);
  }
  return image;
}

}  // namespace cryostat::image
