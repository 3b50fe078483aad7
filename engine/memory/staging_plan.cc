#include "engine/memory/staging_plan.h"

#include <algorithm>
#include <map>
#include <optional>
#include <utility>

namespace cryostat::memory {

namespace {

// Parents before children.
std::vector<size_t> birth_order(const std::vector<StagingNode>& nodes) {
  std::vector<size_t> order = {0};
  order.reserve(nodes.size());
  for (size_t i = 0; i < order.size(); ++i)
    order.insert(order.end(), nodes[order[i]].children.begin(), nodes[order[i]].children.end());
  return order;
}

// What each process and its children have in common, from the leaves up.
std::vector<PageRuns> common_pages(const std::vector<StagingNode>& nodes,
                                   const std::vector<size_t>& order) {
  static const PageRuns kNone;
  std::vector<PageRuns> common(nodes.size());
  std::vector<PageRuns> own_and_common(nodes.size());  // of nodes with children
  std::vector<const PageRuns*> offered(nodes.size());  // to the parent
  for (auto at = order.rbegin(); at != order.rend(); ++at) {
    const StagingNode& node = nodes[*at];
    const PageRuns& own = node.runs != nullptr ? *node.runs : kNone;
    offered[*at] = &own;
    if (node.children.empty()) continue;
    std::vector<const PageRuns*> holders = {&own};
    for (const size_t child : node.children) holders.push_back(offered[child]);
    common[*at] = shared_pages(holders);
    own_and_common[*at] = overlay(own, common[*at]);
    offered[*at] = &own_and_common[*at];
    for (const size_t child : node.children) own_and_common[child] = {};
  }
  return common;
}

// Every address that is staged anywhere.
std::vector<RemoteRange> staged_addresses(const std::vector<PageRuns>& common) {
  std::vector<RemoteRange> all;
  for (const PageRuns& runs : common) {
    const auto ranges = addresses_of(runs);
    all.insert(all.end(), ranges.begin(), ranges.end());
  }
  std::sort(all.begin(), all.end(),
            [](const RemoteRange& a, const RemoteRange& b) { return a.start < b.start; });
  std::vector<RemoteRange> joined;
  for (const RemoteRange& range : all) {
    if (!joined.empty() && range.start <= joined.back().end)
      joined.back().end = std::max(joined.back().end, range.end);
    else
      joined.push_back(range);
  }
  return joined;
}

StagingArea area_for(const pb::Vma& vma) {
  StagingArea area;
  area.start = vma.start();
  area.end = vma.end();
  if (vma.backing() == pb::Vma::FILE) {
    area.file_id = vma.file_id();
    area.file_offset_bytes = vma.file_offset_bytes();
  }
  area.no_reserve = vma.no_reserve();
  area.huge_page = vma.huge_page();
  area.no_huge_page = vma.no_huge_page();
  return area;
}

bool same_sort(const StagingArea& a, const StagingArea& b) {
  return a.file_id == b.file_id && a.no_reserve == b.no_reserve && a.huge_page == b.huge_page &&
         a.no_huge_page == b.no_huge_page &&
         (a.file_id == 0 || a.start - a.file_offset_bytes == b.start - b.file_offset_bytes);
}

// The areas of all tasks; where two tasks have different sorts of mappings, the first one's.
class Areas {
 public:
  void add(const pb::Vma& vma) {
    StagingArea area = area_for(vma);
    auto first = areas_.upper_bound(area.start);
    if (first != areas_.begin() && std::prev(first)->second.end > area.start) --first;
    auto last = first;
    for (; last != areas_.end() && last->second.start < area.end; ++last)
      if (!same_sort(last->second, area)) return;
    if (last != first) {
      if (first->second.start < area.start) {
        area.start = first->second.start;
        area.file_offset_bytes = first->second.file_offset_bytes;
      }
      area.end = std::max(area.end, std::prev(last)->second.end);
    }
    areas_.erase(first, last);
    areas_.emplace(area.start, area);
  }

  std::vector<StagingArea> list() const {
    std::vector<StagingArea> areas;
    areas.reserve(areas_.size());
    for (const auto& [start, area] : areas_) areas.push_back(area);
    return areas;
  }

 private:
  std::map<uint64_t, StagingArea> areas_;
};

std::vector<StagingArea> find_areas(const std::vector<StagingNode>& nodes,
                                    const std::vector<size_t>& order,
                                    const std::vector<RemoteRange>& staged) {
  Areas areas;
  for (const size_t i : order) {
    if (nodes[i].space == nullptr) continue;
    auto range = staged.begin();
    for (const pb::Vma& vma : nodes[i].space->vmas) {
      while (range != staged.end() && range->end <= vma.start()) ++range;
      if (range == staged.end()) break;
      // Where pages are shared they are written into the VMA of every holder.
      if (range->start < vma.end() && can_be_staged(vma, true)) areas.add(vma);
    }
  }
  return areas.list();
}

}  // namespace

bool can_be_staged(const pb::Vma& vma, bool filled) {
  const bool plain = vma.backing() == pb::Vma::ANONYMOUS || vma.backing() == pb::Vma::FILE;
  return plain && !vma.shared() && !vma.grows_down() && !vma.droppable() &&
         vma.hugetlb_page_size_bytes() == 0 && (filled || vma.account());
}

bool StagingArea::fits(const pb::Vma& vma) const {
  if (vma.start() < start || vma.end() > end) return false;
  const StagingArea other = area_for(vma);
  return same_sort(*this, other);
}

StagingPlan plan_staging(const std::vector<StagingNode>& nodes) {
  StagingPlan plan;
  const std::vector<size_t> order = birth_order(nodes);
  std::vector<PageRuns> common = common_pages(nodes, order);
  plan.areas = find_areas(nodes, order, staged_addresses(common));
  std::vector<RemoteRange> mapped;
  for (const StagingArea& area : plan.areas) mapped.push_back({area.start, area.end});
  plan.reads.resize(nodes.size());
  plan.present.assign(nodes.size(), std::make_shared<const PageRuns>());
  auto inherits = plan.present;
  for (const size_t i : order) {
    plan.present[i] = inherits[i];
    const PageRuns reads = without_same(pages_at(common[i], mapped), *inherits[i]);
    if (!reads.empty())
      plan.present[i] = std::make_shared<const PageRuns>(overlay(reads, *inherits[i]));
    plan.reads[i] = reads;
    for (const size_t child : nodes[i].children) inherits[child] = plan.present[i];
  }
  return plan;
}

}  // namespace cryostat::memory
