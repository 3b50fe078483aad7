// Which open descriptions have to be opened by the same task: both ends of a pipe, the descriptions
// of one deleted file, an epoll instance and what it watches.
#pragma once

#include <cstdint>
#include <map>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

namespace cryostat::image {
struct FilesImage;
}

namespace cryostat::files {

// Sets of description ids, joined by what their kinds say (DescriptorKind::link).
class DescriptionGroups {
 public:
  explicit DescriptionGroups(size_t description_count);

  // Descriptions `a` and `b` (ids) belong together. Unknown ids are left out.
  void join(uint32_t a, uint32_t b);
  // Every description that is joined to the object `id` of this sort ("pipe", "ghost") belongs to
  // all others that are.
  void join_object(uint32_t description, std::string_view sort, uint64_t id);

  // While this description is finished (DescriptorKind::finish) all of its group have numbers that
  // RestoreContext::number_of tells: some may be in flight only and have no final one.
  void hold(uint32_t description);
  bool is_held(uint32_t description) const { return held_[description]; }

  // The lowest id of the group.
  uint32_t group_of(uint32_t description) { return root_of(groups_, description); }
  // The lowest id of those that have an object in common with it: a group may hold many.
  uint32_t object_of(uint32_t description) { return root_of(sharers_, description); }

 private:
  using Parents = std::vector<uint32_t>;  // of id n: element n; 0 is nobody
  static uint32_t root_of(Parents& parents, uint32_t description);
  static void unite(Parents& parents, uint32_t a, uint32_t b);
  Parents groups_;
  Parents sharers_;
  std::vector<bool> held_;
  std::map<std::pair<std::string_view, uint64_t>, uint32_t> objects_;
};

// Which task opens a description: the first one that has a number of it, or of any description of
// its group. The others get it from there.
class DescriptionOwners {
 public:
  explicit DescriptionOwners(const image::FilesImage& image);

  // The table of the task that opens it; 0 when no table has a number of its group.
  uint32_t owner(uint32_t description) const { return owners_[description]; }
  // Tasks other than the owner have a number of it or of a description of its group, or its kind
  // wants them held.
  bool is_shared(uint32_t description) const { return shared_[description]; }
  // Ascending: the shared descriptions that the task with this table opens.
  const std::vector<uint32_t>& shared_of(uint32_t table) const;
  // Sorts ids so that those of one object (both ends of a pipe) follow each other: what they are
  // opened from is needed from the first of them to the last.
  void sort_by_object(std::vector<uint32_t>& descriptions) const;
  uint32_t object(uint32_t description) const { return objects_[description]; }

 private:
  std::vector<uint32_t> owners_;
  std::vector<uint32_t> objects_;  // DescriptionGroups::object_of
  std::vector<bool> shared_;
  std::unordered_map<uint32_t, std::vector<uint32_t>> shared_of_;  // by table
};

}  // namespace cryostat::files
