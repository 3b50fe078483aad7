#include "engine/image/memory_policy.h"

#include <algorithm>
#include <cstring>
#include <string>

namespace cryostat::image {

void save_policy(const wire::MemoryPolicyState& policy, pb::MemoryPolicy& record) {
  record.Clear();
  if (policy.mode <= 0) return;
  record.set_mode(static_cast<uint32_t>(policy.mode));
  std::string nodes(sizeof(policy.nodes), '\0');
  std::memcpy(nodes.data(), policy.nodes, sizeof(policy.nodes));
  nodes.resize(nodes.find_last_not_of('\0') + 1);
  record.set_nodes(std::move(nodes));
}

wire::MemoryPolicyState plan_policy(const pb::MemoryPolicy& record) {
  wire::MemoryPolicyState policy;
  policy.mode = static_cast<int32_t>(record.mode());
  std::memcpy(policy.nodes, record.nodes().data(),
              std::min(record.nodes().size(), sizeof(policy.nodes)));
  return policy;
}

}  // namespace cryostat::image
