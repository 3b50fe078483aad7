#include "engine/restore/staging.h"

namespace cryostat::restore {

memory::StagingPlan plan_staging(const task::TreePlan& plan,
                                 const image::CheckpointImages& images) {
  std::vector<memory::StagingNode> nodes;
  for (const task::Birth& birth : plan.births) {
    memory::StagingNode& node = nodes.emplace_back();
    node.children = birth.before_session;
    node.children.insert(node.children.end(), birth.after_session.begin(),
                         birth.after_session.end());
    if (birth.is_placeholder() || images.tasks.tasks[birth.task].task.has_zombie()) continue;
    const uint32_t id = images.tasks.tasks[birth.task].task.address_space_id();
    node.space = images.mm.space(id);
    node.runs = &images.pagemap.runs(pb::PageRuns::ADDRESS_SPACE, id);
  }
  return memory::plan_staging(nodes);
}

}  // namespace cryostat::restore
