#include "engine/restore/staging.h"

#include <linux/sched.h>

namespace cryostat::restore {

namespace {

// A birth into the memory of another process (CLONE_VM) is no node of its own: whom it forks has
// what `memory`, the process that memory was first of, has.
void add_births(const task::TreePlan& plan, size_t birth, size_t memory,
                std::vector<memory::StagingNode>& nodes) {
  const task::Birth& of = plan.births[birth];
  for (const auto* forked : {&of.before_session, &of.after_session}) {
    for (const size_t child : *forked) {
      const bool is_born_into_memory = (plan.births[child].share & CLONE_VM) != 0;
      if (!is_born_into_memory) nodes[memory].children.push_back(child);
      add_births(plan, child, is_born_into_memory ? memory : child, nodes);
    }
  }
}

}  // namespace

memory::StagingPlan plan_staging(const task::TreePlan& plan,
                                 const image::CheckpointImages& images) {
  std::vector<memory::StagingNode> nodes(plan.births.size());
  add_births(plan, 0, 0, nodes);
  for (size_t i = 0; i < nodes.size(); ++i) {
    const task::Birth& birth = plan.births[i];
    const bool is_born_into_memory = (birth.share & CLONE_VM) != 0;
    if (is_born_into_memory || birth.is_placeholder() ||
        images.tasks.tasks[birth.task].task.has_zombie())
      continue;
    const uint32_t id = images.tasks.tasks[birth.task].task.address_space_id();
    nodes[i].space = images.mm.space(id);
    nodes[i].runs = &images.pagemap.runs(pb::PageRuns::ADDRESS_SPACE, id);
  }
  return memory::plan_staging(nodes);
}

}  // namespace cryostat::restore
