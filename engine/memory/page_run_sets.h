// Set operations on page runs: which pages lie where. All take and give runs in address order, not
// overlapping, none in-parent, and join nothing that was apart.
#pragma once

#include <span>
#include <vector>

#include "engine/image/pagemap_image.h"
#include "engine/memory/remote_range.h"

namespace cryostat::memory {

using PageRuns = std::vector<image::PageRun>;

uint64_t end_of(const image::PageRun& run);
// The pages [start, end) of `run`, all of which it has.
image::PageRun part_of(const image::PageRun& run, uint64_t start, uint64_t end);

// Pages of `runs` at addresses where `others` has a page / has none.
PageRuns pages_at(const PageRuns& runs, std::span<const RemoteRange> ranges);
PageRuns pages_not_at(const PageRuns& runs, std::span<const RemoteRange> ranges);
// Pages of `runs` that `others` does not have: nothing there, or a page from another place.
PageRuns without_same(const PageRuns& runs, const PageRuns& others);
// Pages of `above`, and of `below` where `above` has none.
PageRuns overlay(const PageRuns& above, const PageRuns& below);
// The addresses, joined where they touch.
std::vector<RemoteRange> addresses_of(const PageRuns& runs);

// Pages that at least two of `holders` have, from the same place at the same address. Where those
// are different pages for different holders, the one that more of them have.
PageRuns shared_pages(std::span<const PageRuns* const> holders);

}  // namespace cryostat::memory
