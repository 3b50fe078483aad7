#include "engine/kernel/bpf_map.h"

#include <fmt/format.h>
#include <linux/bpf.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

namespace cryostat::kernel {

namespace {

long call(bpf_cmd command, bpf_attr& attributes) {
  return syscall(SYS_bpf, command, &attributes, sizeof attributes);
}

uint64_t address(const void* memory) { return reinterpret_cast<uintptr_t>(memory); }

bpf_attr nothing() {
  bpf_attr attributes;
  std::memset(&attributes, 0, sizeof attributes);
  return attributes;
}

}  // namespace

Result<BpfMapInfo> bpf_map_info(int map) {
  struct bpf_map_info told;
  std::memset(&told, 0, sizeof told);
  auto attributes = nothing();
  attributes.info.bpf_fd = static_cast<uint32_t>(map);
  attributes.info.info_len = sizeof told;
  attributes.info.info = address(&told);
  if (call(BPF_OBJ_GET_INFO_BY_FD, attributes) != 0) return fail_errno("ask about a BPF map");
  BpfMapInfo info;
  info.id = told.id;
  info.type = told.type;
  info.key_bytes = told.key_size;
  info.value_bytes = told.value_size;
  info.max_entries = told.max_entries;
  info.flags = told.map_flags;
  info.extra = told.map_extra;
  info.has_type_information = told.btf_id != 0 || told.ifindex != 0;
  info.name.assign(told.name, strnlen(told.name, sizeof told.name));
  return info;
}

Result<UniqueFd> bpf_open_map(uint32_t id, uint32_t open_flags) {
  auto attributes = nothing();
  attributes.map_id = id;
  attributes.open_flags = open_flags;
  UniqueFd fd(static_cast<int>(call(BPF_MAP_GET_FD_BY_ID, attributes)));
  if (!fd) return fail_errno(fmt::format("open BPF map {}", id));
  return fd;
}

Result<UniqueFd> bpf_create_map(const BpfMapInfo& info) {
  auto attributes = nothing();
  attributes.map_type = info.type;
  attributes.key_size = info.key_bytes;
  attributes.value_size = info.value_bytes;
  attributes.max_entries = info.max_entries;
  attributes.map_flags = info.flags;
  attributes.map_extra = info.extra;
  std::memcpy(attributes.map_name, info.name.data(),
              std::min(info.name.size(), sizeof attributes.map_name - 1));
  UniqueFd fd(static_cast<int>(call(BPF_MAP_CREATE, attributes)));
  if (!fd) return fail_errno(fmt::format("create BPF map {}", info.name));
  return fd;
}

Result<void> bpf_freeze_map(int map) {
  auto attributes = nothing();
  attributes.map_fd = static_cast<uint32_t>(map);
  if (call(BPF_MAP_FREEZE, attributes) != 0) return fail_errno("freeze a BPF map");
  return {};
}

Result<void> bpf_for_each_entry(
    int map, const BpfMapInfo& info,
    const std::function<Result<void>(const std::string&, const std::string&)>& entry) {
  std::string key, next(info.key_bytes, '\0'), value(info.value_bytes, '\0');
  for (uint64_t count = 0; count <= info.max_entries; ++count) {
    auto step = nothing();
    step.map_fd = static_cast<uint32_t>(map);
    step.key = key.empty() ? 0 : address(key.data());
    step.next_key = address(next.data());
    if (call(BPF_MAP_GET_NEXT_KEY, step) != 0) {
      if (errno == ENOENT) return {};
      return fail_errno("list the keys of a BPF map");
    }
    key = next;
    auto lookup = nothing();
    lookup.map_fd = static_cast<uint32_t>(map);
    lookup.key = address(key.data());
    lookup.value = address(value.data());
    if (call(BPF_MAP_LOOKUP_ELEM, lookup) != 0) {
      if (errno == ENOENT) continue;
      return fail_errno("read an element of a BPF map");
    }
    TRY(entry(key, value));
  }
  return fail(ErrorKind::kFailed, "a BPF map changes while it is read");
}

Result<void> bpf_set_entry(int map, const std::string& key, const std::string& value) {
  auto attributes = nothing();
  attributes.map_fd = static_cast<uint32_t>(map);
  attributes.key = address(key.data());
  attributes.value = address(value.data());
  if (call(BPF_MAP_UPDATE_ELEM, attributes) != 0)
    return fail_errno("write an element of a BPF map");
  return {};
}

}  // namespace cryostat::kernel
