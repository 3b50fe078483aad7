#include "engine/memory/memory_policy.h"

#include <fmt/format.h>
#include <sys/syscall.h>

#include <algorithm>
#include <cerrno>
#include <span>
#include <vector>

#include "engine/image/memory_policy.h"
#include "engine/infect/infected_task.h"

namespace cryostat::memory {

namespace {

// No such call in this kernel, or a filter keeps it from the task, and so its setters too.
bool has_no_policies(int64_t mode) { return mode == -ENOSYS || mode == -EPERM; }

Result<std::vector<int64_t>> modes_at(InfectedTask& infected, std::span<const pb::Vma> vmas) {
  const wire::PolicyRequest request{static_cast<uint32_t>(vmas.size()), 0};
  std::vector<int64_t> values;
  values.reserve(vmas.size());
  for (const pb::Vma& vma : vmas) values.push_back(static_cast<int64_t>(vma.start()));
  const auto bytes = std::as_writable_bytes(std::span(values));
  TRY(infected.write_data(0, std::as_bytes(std::span(&request, 1))));
  TRY(infected.write_data(sizeof(request), bytes));
  TRY(infected.call(wire::ParasiteOp::kFindPolicies));
  TRY(infected.read_data(sizeof(request), bytes));
  return values;
}

// With its nodes.
Result<wire::MemoryPolicyState> policy_at(InfectedTask& infected, uint64_t address) {
  const RemoteAddr place = infected.data_address();
  const int64_t result = TRY(infected.remote_syscall(
      SYS_get_mempolicy, {(place + offsetof(wire::MemoryPolicyState, mode)).value,
                          (place + offsetof(wire::MemoryPolicyState, nodes)).value,
                          wire::kNodesToGet, address, wire::kPolicyOfAddress, 0}));
  if (result != 0)
    return fail_errno(static_cast<int>(-result), fmt::format("NUMA policy at {:x}", address));
  wire::MemoryPolicyState policy;
  TRY(infected.read_data(0, std::as_writable_bytes(std::span(&policy, 1))));
  return policy;
}

}  // namespace

Result<void> collect_policies(InfectedTask& infected, AddressSpaceState& state) {
  static_assert(sizeof(wire::PolicyRequest) + wire::kPolicyMaxAddresses * sizeof(int64_t) <=
                InfectedTask::data_bytes());
  std::span<pb::Vma> rest(state.vmas);
  while (!rest.empty()) {
    const auto batch = rest.first(std::min<size_t>(rest.size(), wire::kPolicyMaxAddresses));
    rest = rest.subspan(batch.size());
    const auto modes = TRY(modes_at(infected, batch));
    for (size_t i = 0; i < batch.size(); ++i) {
      if (modes[i] == 0) continue;
      if (has_no_policies(modes[i])) return {};
      if (modes[i] < 0)
        return fail_errno(static_cast<int>(-modes[i]),
                          fmt::format("ask for the NUMA policy at {:x}", batch[i].start()));
      const auto policy = TRY(policy_at(infected, batch[i].start()));
      image::save_policy(policy, *batch[i].mutable_memory_policy());
    }
  }
  return {};
}

}  // namespace cryostat::memory
