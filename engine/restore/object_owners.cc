#include "engine/restore/object_owners.h"

#include <map>
#include <set>

namespace cryostat::restore {

namespace {

using Objects = std::set<uint32_t>;

// Objects of the memfds that the tasks open, by descriptor table.
std::map<uint32_t, Objects> memfds_of(const image::CheckpointImages& images,
                                      const files::DescriptionOwners& descriptions) {
  std::map<uint32_t, Objects> memfds;
  for (const pb::Description& description : images.files.descriptions)
    if (description.has_mem_fd())
      memfds[descriptions.owner(description.id())].insert(description.mem_fd().shared_memory_id());
  return memfds;
}

Objects objects_of(const image::CheckpointImages& images, const pb::Task& task,
                   const std::map<uint32_t, Objects>& memfds) {
  Objects objects;
  if (const auto* space = images.mm.space(task.address_space_id())) {
    for (const pb::Vma& vma : space->vmas)
      if (vma.shared_memory_id() != 0) objects.insert(vma.shared_memory_id());
    if (const uint32_t exe = space->space.exe_shared_memory_id(); exe != 0) objects.insert(exe);
  }
  if (const auto own = memfds.find(task.descriptor_table_id()); own != memfds.end())
    objects.insert(own->second.begin(), own->second.end());
  return objects;
}

}  // namespace

ObjectOwners::ObjectOwners(const image::CheckpointImages& images,
                           const files::DescriptionOwners& descriptions)
    : used_(images.tasks.tasks.size()),
      owners_(images.mm.shared.size() + 1, kNobody),
      shared_(images.mm.shared.size() + 1) {
  const std::map<uint32_t, Objects> memfds = memfds_of(images, descriptions);
  std::map<uint32_t, Objects> of_table;
  std::map<uint32_t, size_t> leaders;  // by table
  for (size_t i = 0; i < used_.size(); ++i) {
    const pb::Task& task = images.tasks.tasks[i].task;
    if (task.has_zombie()) continue;
    of_table[task.descriptor_table_id()].merge(objects_of(images, task, memfds));
    leaders.emplace(task.descriptor_table_id(), i);
  }
  for (size_t i = 0; i < used_.size(); ++i) {
    const pb::Task& task = images.tasks.tasks[i].task;
    if (task.has_zombie()) continue;
    const uint32_t table = task.descriptor_table_id();
    for (const uint32_t object :
         leaders[table] == i ? of_table[table] : objects_of(images, task, memfds)) {
      if (object >= owners_.size()) continue;
      used_[i].push_back(object);
      if (owners_[object] == kNobody) owners_[object] = i;
      if (owners_[object] != i) shared_[object] = true;
    }
  }
  // Segments that nobody has attached are filled by the root.
  for (const pb::SharedMemory& object : images.mm.shared) {
    if (object.kind() != pb::SharedMemory::SYSV || is_used(object.id())) continue;
    used_.front().push_back(object.id());
    owners_[object.id()] = 0;
  }
}

}  // namespace cryostat::restore
