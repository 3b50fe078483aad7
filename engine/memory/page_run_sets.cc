#include "engine/memory/page_run_sets.h"

#include <algorithm>
#include <tuple>

#include "engine/base/ids.h"

namespace cryostat::memory {

namespace {

// Pages of one store whose addresses and places move in step.
struct Stretch {
  uint32_t store;
  uint64_t place;  // address of page 0 of the store, if the stretch went on so far (wraps around)
  uint64_t start;
  uint64_t end;
  uint64_t takers_bytes = 0;  // summed over the holders but the first
};

image::PageRun run_of(const Stretch& stretch, const RemoteRange& range) {
  return {range.start, (range.start - stretch.place) / kPageSize,
          static_cast<uint32_t>((range.end - range.start) / kPageSize), stretch.store};
}

bool joins(const image::PageRun& last, const image::PageRun& next) {
  return end_of(last) == next.address && last.store == next.store &&
         last.page_index + last.page_count == next.page_index &&
         uint64_t{last.page_count} + next.page_count <= UINT32_MAX;
}

void append(PageRuns& runs, const image::PageRun& run) {
  if (!runs.empty() && joins(runs.back(), run))
    runs.back().page_count += run.page_count;
  else
    runs.push_back(run);
}

std::vector<Stretch> stretches_of(std::span<const PageRuns* const> holders) {
  std::vector<Stretch> all;
  for (const PageRuns* runs : holders)
    for (const image::PageRun& run : *runs)
      if (run.page_index != image::kZeroPage)
        all.push_back(
            {run.store, run.address - run.page_index * kPageSize, run.address, end_of(run)});
  std::sort(all.begin(), all.end(), [](const Stretch& a, const Stretch& b) {
    return std::tie(a.store, a.place, a.start) < std::tie(b.store, b.place, b.start);
  });
  return all;
}

// What at least two of the sorted `all` cover.
std::vector<Stretch> covered_twice(const std::vector<Stretch>& all) {
  std::vector<Stretch> found;
  const Stretch* before = nullptr;
  uint64_t covered_to = 0;
  for (const Stretch& next : all) {
    if (before == nullptr || before->store != next.store || before->place != next.place)
      covered_to = 0;
    before = &next;
    if (next.start < covered_to) {
      Stretch both = next;
      both.end = std::min(next.end, covered_to);
      both.takers_bytes = both.end - both.start;
      const bool goes_on = !found.empty() && found.back().store == both.store &&
                           found.back().place == both.place && both.start <= found.back().end;
      if (goes_on) {
        found.back().end = std::max(found.back().end, both.end);
        found.back().takers_bytes += both.takers_bytes;
      } else {
        found.push_back(both);
      }
    }
    covered_to = std::max(covered_to, next.end);
  }
  return found;
}

// Of stretches at the same addresses: each takes what those with more takers leave free.
PageRuns most_wanted(std::span<Stretch> stretches) {
  const auto takers = [](const Stretch& stretch) {
    return static_cast<double>(stretch.takers_bytes) /
           static_cast<double>(stretch.end - stretch.start);
  };
  std::stable_sort(stretches.begin(), stretches.end(),
                   [&](const Stretch& a, const Stretch& b) { return takers(a) > takers(b); });
  PageRuns runs;
  for (const Stretch& stretch : stretches)
    runs = overlay(runs, {run_of(stretch, {stretch.start, stretch.end})});
  return runs;
}

}  // namespace

uint64_t end_of(const image::PageRun& run) {
  return run.address + uint64_t{run.page_count} * kPageSize;
}

image::PageRun part_of(const image::PageRun& run, uint64_t start, uint64_t end) {
  image::PageRun part = run;
  part.address = start;
  part.page_count = static_cast<uint32_t>((end - start) / kPageSize);
  if (run.page_index != image::kZeroPage) part.page_index += (start - run.address) / kPageSize;
  return part;
}

PageRuns pages_at(const PageRuns& runs, std::span<const RemoteRange> ranges) {
  PageRuns found;
  auto range = ranges.begin();
  for (const image::PageRun& run : runs) {
    while (range != ranges.end() && range->end <= run.address) ++range;
    for (auto at = range; at != ranges.end() && at->start < end_of(run); ++at)
      found.push_back(
          part_of(run, std::max(run.address, at->start), std::min(end_of(run), at->end)));
  }
  return found;
}

PageRuns pages_not_at(const PageRuns& runs, std::span<const RemoteRange> ranges) {
  PageRuns found;
  auto range = ranges.begin();
  for (const image::PageRun& run : runs) {
    while (range != ranges.end() && range->end <= run.address) ++range;
    uint64_t at = run.address;
    for (auto next = range; next != ranges.end() && next->start < end_of(run); ++next) {
      if (next->start > at) found.push_back(part_of(run, at, next->start));
      at = std::max(at, next->end);
    }
    if (at < end_of(run)) found.push_back(part_of(run, at, end_of(run)));
  }
  return found;
}

PageRuns without_same(const PageRuns& runs, const PageRuns& others) {
  std::vector<RemoteRange> same;
  auto other = others.begin();
  for (const image::PageRun& run : runs) {
    while (other != others.end() && end_of(*other) <= run.address) ++other;
    for (auto at = other; at != others.end() && at->address < end_of(run); ++at) {
      const uint64_t start = std::max(run.address, at->address);
      const uint64_t end = std::min(end_of(run), end_of(*at));
      const image::PageRun mine = part_of(run, start, end);
      const image::PageRun theirs = part_of(*at, start, end);
      if (mine.page_index == theirs.page_index &&
          (mine.store == theirs.store || mine.page_index == image::kZeroPage))
        same.push_back({start, end});
    }
  }
  return pages_not_at(runs, same);
}

PageRuns overlay(const PageRuns& above, const PageRuns& below) {
  const PageRuns seen = pages_not_at(below, addresses_of(above));
  PageRuns all;
  all.reserve(above.size() + seen.size());
  std::merge(
      above.begin(), above.end(), seen.begin(), seen.end(), std::back_inserter(all),
      [](const image::PageRun& a, const image::PageRun& b) { return a.address < b.address; });
  return all;
}

std::vector<RemoteRange> addresses_of(const PageRuns& runs) {
  std::vector<RemoteRange> ranges;
  for (const image::PageRun& run : runs) {
    if (!ranges.empty() && ranges.back().end == run.address)
      ranges.back().end = end_of(run);
    else
      ranges.push_back({run.address, end_of(run)});
  }
  return ranges;
}

PageRuns shared_pages(std::span<const PageRuns* const> holders) {
  std::vector<Stretch> found = covered_twice(stretches_of(holders));
  std::sort(found.begin(), found.end(), [](const Stretch& a, const Stretch& b) {
    return std::tie(a.start, a.store, a.place) < std::tie(b.start, b.store, b.place);
  });
  PageRuns runs;
  for (auto first = found.begin(); first != found.end();) {
    // Those that lie apart from all others are most.
    auto last = first + 1;
    for (uint64_t end = first->end; last != found.end() && last->start < end; ++last)
      end = std::max(end, last->end);
    for (const image::PageRun& run : most_wanted({first, last})) append(runs, run);
    first = last;
  }
  return runs;
}

}  // namespace cryostat::memory
