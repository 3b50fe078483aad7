// BPF maps through bpf(2): what they are, and what is in them.
#pragma once

#include <cstdint>
#include <functional>
#include <string>

#include "engine/base/error.h"
#include "engine/base/unique_fd.h"

namespace cryostat::kernel {

struct BpfMapInfo {
  uint32_t id = 0;  // of the map object, unique while it exists
  uint32_t type = 0;
  uint32_t key_bytes = 0;
  uint32_t value_bytes = 0;
  uint32_t max_entries = 0;
  uint32_t flags = 0;  // BPF_F_*
  uint64_t extra = 0;
  bool has_type_information = false;  // BTF, or bound to a device
  std::string name;
};

Result<BpfMapInfo> bpf_map_info(int map);
// A new description of the map for reading and writing (CAP_SYS_ADMIN); `open_flags` may restrict
// it: BPF_F_RDONLY, BPF_F_WRONLY.
Result<UniqueFd> bpf_open_map(uint32_t id, uint32_t open_flags);
// CAP_BPF where unprivileged use is disabled.
Result<UniqueFd> bpf_create_map(const BpfMapInfo& info);
Result<void> bpf_freeze_map(int map);

// Calls `entry` with each key and value; an error ends it. Elements that vanish meanwhile are left
// out. Precondition: key and value sizes are sane.
Result<void> bpf_for_each_entry(
    int map, const BpfMapInfo& info,
    const std::function<Result<void>(const std::string& key, const std::string& value)>& entry);
Result<void> bpf_set_entry(int map, const std::string& key, const std::string& value);

}  // namespace cryostat::kernel
