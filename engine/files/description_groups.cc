#include "engine/files/description_groups.h"

#include <algorithm>
#include <numeric>

#include "engine/files/kind.h"
#include "engine/image/files_image.h"

namespace cryostat::files {

DescriptionGroups::DescriptionGroups(size_t description_count)
    : groups_(description_count + 1),
      sharers_(description_count + 1),
      held_(description_count + 1) {
  std::iota(groups_.begin(), groups_.end(), 0);
  sharers_ = groups_;
}

void DescriptionGroups::hold(uint32_t description) {
  if (description < held_.size()) held_[description] = true;
}

uint32_t DescriptionGroups::root_of(Parents& parents, uint32_t description) {
  uint32_t root = description;
  while (parents[root] != root) root = parents[root];
  while (parents[description] != root) description = std::exchange(parents[description], root);
  return root;
}

void DescriptionGroups::unite(Parents& parents, uint32_t a, uint32_t b) {
  const auto [low, high] = std::minmax({root_of(parents, a), root_of(parents, b)});
  parents[high] = low;
}

void DescriptionGroups::join(uint32_t a, uint32_t b) {
  if (a == 0 || b == 0 || a >= groups_.size() || b >= groups_.size()) return;
  unite(groups_, a, b);
}

void DescriptionGroups::join_object(uint32_t description, std::string_view sort, uint64_t id) {
  const auto [known, is_new] = objects_.emplace(std::pair(sort, id), description);
  if (is_new) return;
  join(known->second, description);
  unite(sharers_, known->second, description);
}

DescriptionOwners::DescriptionOwners(const image::FilesImage& image)
    : owners_(image.descriptions.size() + 1),
      objects_(image.descriptions.size() + 1),
      shared_(image.descriptions.size() + 1) {
  DescriptionGroups groups(image.descriptions.size());
  for (const auto& description : image.descriptions)
    if (const auto* kind = kind_for(description)) kind->link(description, groups);
  // First per group, at the number of its lowest description.
  for (const auto& table : image.tables) {
    for (const auto& entry : table.entries()) {
      const uint32_t group = groups.group_of(entry.description_id());
      if (owners_[group] == 0) owners_[group] = table.id();
      if (owners_[group] != table.id()) shared_[group] = true;
    }
  }
  for (uint32_t id = 1; id < owners_.size(); ++id)
    if (groups.is_held(id)) shared_[groups.group_of(id)] = true;
  for (uint32_t id = 1; id < owners_.size(); ++id) {
    owners_[id] = owners_[groups.group_of(id)];
    shared_[id] = shared_[groups.group_of(id)];
    objects_[id] = groups.object_of(id);
    if (shared_[id]) shared_of_[owners_[id]].push_back(id);
  }
}

const std::vector<uint32_t>& DescriptionOwners::shared_of(uint32_t table) const {
  static const std::vector<uint32_t> kNone;
  const auto found = shared_of_.find(table);
  return found == shared_of_.end() ? kNone : found->second;
}

void DescriptionOwners::sort_by_object(std::vector<uint32_t>& descriptions) const {
  std::sort(descriptions.begin(), descriptions.end(), [this](uint32_t a, uint32_t b) {
    return std::pair(objects_[a], a) < std::pair(objects_[b], b);
  });
}

}  // namespace cryostat::files
