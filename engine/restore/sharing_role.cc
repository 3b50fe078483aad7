#include "engine/restore/sharing_role.h"

#include <algorithm>
#include <map>

namespace cryostat::restore {

namespace {

using Part = SharingRole::Part;

// `id`: what the tasks with the same number have in common; 0: nothing.
template <typename Id>
void find_leaders(const image::TasksImage& images, Id id, Part SharingRole::*part,
                  std::vector<SharingRole>& roles) {
  std::map<uint32_t, size_t> leaders;
  for (size_t i = 0; i < roles.size(); ++i) {
    const uint32_t number = id(images.tasks[i].task);
    (roles[i].*part).leader = number == 0 ? i : leaders.emplace(number, i).first->second;
    const size_t leader = (roles[i].*part).leader;
    if (leader != i) (roles[leader].*part).followers.push_back(i);
  }
}

// Of all that are connected, the lowest index counts.
void find_turns(std::vector<SharingRole>& roles) {
  std::vector<size_t> lowest(roles.size());
  for (size_t i = 0; i < roles.size(); ++i) lowest[i] = i;
  for (bool changed = true; changed;) {
    changed = false;
    for (const SharingRole& role : roles) {
      for (const Part* part : {&role.memory, &role.table, &role.directories}) {
        const size_t low = std::min(lowest[role.task], lowest[part->leader]);
        changed = changed || lowest[role.task] != low || lowest[part->leader] != low;
        lowest[role.task] = lowest[part->leader] = low;
      }
    }
  }
  for (size_t i = 0; i < roles.size(); ++i)
    if (std::ranges::count(lowest, lowest[i]) > 1)
      roles[i].turn = static_cast<uint32_t>(lowest[i] + 1);
}

}  // namespace

std::vector<SharingRole> sharing_roles(const image::TasksImage& images) {
  std::vector<SharingRole> roles(images.tasks.size());
  for (size_t i = 0; i < roles.size(); ++i) roles[i].task = i;
  const auto find = [&](auto id, Part SharingRole::*part) {
    find_leaders(images, id, part, roles);
  };
  find([](const pb::Task& task) { return task.address_space_id(); }, &SharingRole::memory);
  find([](const pb::Task& task) { return task.descriptor_table_id(); }, &SharingRole::table);
  find([](const pb::Task& task) { return task.fs_id(); }, &SharingRole::directories);
  find_turns(roles);
  return roles;
}

}  // namespace cryostat::restore
