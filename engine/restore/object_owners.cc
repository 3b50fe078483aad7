#include "engine/restore/object_owners.h"

#include <map>
#include <set>

namespace cryostat::restore {

namespace {

std::set<uint32_t> objects_of(const image::CheckpointImages& images, const pb::Task& task,
                              const files::DescriptionOwners& descriptions) {
  std::set<uint32_t> objects;
  if (const auto* space = images.mm.space(task.address_space_id())) {
    for (const pb::Vma& vma : space->vmas)
      if (vma.shared_memory_id() != 0) objects.insert(vma.shared_memory_id());
    if (const uint32_t exe = space->space.exe_shared_memory_id(); exe != 0) objects.insert(exe);
  }
  for (const pb::Description& description : images.files.descriptions)
    if (description.has_mem_fd() &&
        descriptions.owner(description.id()) == task.descriptor_table_id())
      objects.insert(description.mem_fd().shared_memory_id());
  return objects;
}

}  // namespace

ObjectOwners::ObjectOwners(const image::CheckpointImages& images,
                           const files::DescriptionOwners& descriptions)
    : used_(images.tasks.tasks.size()),
      owners_(images.mm.shared.size() + 1, kNobody),
      shared_(images.mm.shared.size() + 1) {
  std::map<uint32_t, std::set<uint32_t>> of_table;
  std::map<uint32_t, size_t> leaders;  // by table
  for (size_t i = 0; i < used_.size(); ++i) {
    const pb::Task& task = images.tasks.tasks[i].task;
    if (task.has_zombie()) continue;
    of_table[task.descriptor_table_id()].merge(objects_of(images, task, descriptions));
    leaders.emplace(task.descriptor_table_id(), i);
  }
  for (size_t i = 0; i < used_.size(); ++i) {
    const pb::Task& task = images.tasks.tasks[i].task;
    if (task.has_zombie()) continue;
    const uint32_t table = task.descriptor_table_id();
    for (const uint32_t object :
         leaders[table] == i ? of_table[table] : objects_of(images, task, descriptions)) {
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
