#include "engine/task/shared_resources.h"

#include <linux/sched.h>

#include <array>
#include <set>

#include "proto/task.pb.h"

namespace cryostat::task {

namespace {

struct Resource {
  uint64_t flag;
  const char* name;
  uint32_t (pb::Task::*id)() const;  // 0: none
};
constexpr std::array kResources = {
    Resource{CLONE_VM, "address space", &pb::Task::address_space_id},
    Resource{CLONE_FILES, "descriptor table", &pb::Task::descriptor_table_id},
    Resource{CLONE_FS, "working directory", &pb::Task::fs_id},
    Resource{CLONE_SIGHAND, "signal handlers", &pb::Task::sighand_id},
};

}  // namespace

uint64_t common_resources(const pb::Task& a, const pb::Task& b) {
  uint64_t flags = 0;
  for (const Resource& resource : kResources)
    if ((a.*resource.id)() != 0 && (a.*resource.id)() == (b.*resource.id)()) flags |= resource.flag;
  return flags;
}

std::vector<uint64_t> joined_resources(std::span<const pb::Task* const> tasks) {
  std::vector<uint64_t> joined(tasks.size());
  for (const Resource& resource : kResources) {
    std::set<uint32_t> known;
    for (size_t i = 0; i < tasks.size(); ++i) {
      const uint32_t id = (tasks[i]->*resource.id)();
      if (id != 0 && !known.insert(id).second) joined[i] |= resource.flag;
    }
  }
  return joined;
}

std::string resource_names(uint64_t flags) {
  std::string names;
  for (const Resource& resource : kResources)
    if ((flags & resource.flag) != 0)
      names += (names.empty() ? "" : ", ") + std::string(resource.name);
  return names;
}

}  // namespace cryostat::task
