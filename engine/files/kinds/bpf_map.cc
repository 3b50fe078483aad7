#include "engine/files/kinds/bpf_map.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <linux/bpf.h>

#include <algorithm>

#include "engine/files/collect_context.h"
#include "engine/files/description_groups.h"
#include "engine/files/restore_context.h"
#include "engine/kernel/bpf_map.h"

namespace cryostat::files {

namespace {

constexpr uint64_t kMaxMapBytes = 64u << 20;  // read in one go, kept in one record

Failure refuse(std::string_view why) {
  return fail(ErrorKind::kRefused, fmt::format("BPF map {} can't be checkpointed", why));
}

Result<void> check_saveable(const kernel::BpfMapInfo& info) {
  if (info.type != BPF_MAP_TYPE_HASH && info.type != BPF_MAP_TYPE_ARRAY)
    return refuse(fmt::format("of type {}", info.type));
  if (info.has_type_information) return refuse("with type information (BTF) or of a device");
  const uint64_t entry_bytes = uint64_t{info.key_bytes} + info.value_bytes;
  if (entry_bytes * info.max_entries > kMaxMapBytes)
    return refuse(fmt::format("of more than {} MiB", kMaxMapBytes >> 20));
  return {};
}

bool is_frozen(const OpenDescription& description) {
  return std::any_of(
      description.info.extra.begin(), description.info.extra.end(),
      [](const std::string& line) { return line.starts_with("frozen:") && line.ends_with('1'); });
}

bool all_zero(const std::string& text) {
  return std::all_of(text.begin(), text.end(), [](char c) { return c == '\0'; });
}

Result<void> collect_entries(int map, const kernel::BpfMapInfo& info, pb::BpfMap& image) {
  return kernel::bpf_for_each_entry(
      map, info, [&](const std::string& key, const std::string& value) -> Result<void> {
        // An array starts with zeros.
        if (info.type == BPF_MAP_TYPE_ARRAY && all_zero(value)) return {};
        auto& entry = *image.add_entries();
        entry.set_key(key);
        entry.set_value(value);
        return {};
      });
}

Result<UniqueFd> make_map(const pb::BpfMap& image) {
  kernel::BpfMapInfo info;
  info.type = image.type();
  info.key_bytes = image.key_bytes();
  info.value_bytes = image.value_bytes();
  info.max_entries = image.max_entries();
  info.flags = image.flags();
  info.extra = image.extra();
  info.name = image.name();
  auto map = TRY(kernel::bpf_create_map(info));
  for (const auto& entry : image.entries()) {
    if (entry.key().size() != info.key_bytes || entry.value().size() != info.value_bytes)
      return fail(ErrorKind::kImages, "an element of a BPF map with bad sizes");
    TRY(kernel::bpf_set_entry(map.get(), entry.key(), entry.value()));
  }
  if (image.frozen()) TRY(kernel::bpf_freeze_map(map.get()));
  return map;
}

uint32_t bpf_mode(uint32_t flags) {
  switch (flags & O_ACCMODE) {
    case O_RDONLY:
      return BPF_F_RDONLY;
    case O_WRONLY:
      return BPF_F_WRONLY;
    default:
      return 0;
  }
}

}  // namespace

bool BpfMapKind::matches(const OpenDescription& description) const {
  return description.anonymous_inode() == "bpf-map";
}

// All maps share one inode: what tells them apart is the id of the map object.
Result<void> BpfMapKind::collect(CollectContext& context, const OpenDescription& description,
                                 pb::Description& image) const {
  const int fd = description.copy.get();
  const auto info = TRY(kernel::bpf_map_info(fd));
  TRY(check_saveable(info));
  auto& map = *image.mutable_bpf_map();
  map.set_map_id(info.id);
  map.set_type(info.type);
  map.set_key_bytes(info.key_bytes);
  map.set_value_bytes(info.value_bytes);
  map.set_max_entries(info.max_entries);
  map.set_flags(info.flags);
  map.set_extra(info.extra);
  map.set_name(info.name);
  map.set_frozen(is_frozen(description));
  if (!context.bpf_maps.insert(info.id).second) return {};
  map.set_carries_data(true);
  UniqueFd readable;
  if (!description.readable()) readable = TRY(kernel::bpf_open_map(info.id, BPF_F_RDONLY));
  return collect_entries(readable ? readable.get() : fd, info, map);
}

bool BpfMapKind::owns(const pb::Description& image) const { return image.has_bpf_map(); }

void BpfMapKind::link(const pb::Description& image, DescriptionGroups& groups) const {
  groups.join_object(image.id(), "BPF map", image.bpf_map().map_id());
}

Result<UniqueFd> BpfMapKind::restore(RestoreContext& context, const pb::Description& image) const {
  const auto& map = image.bpf_map();
  auto known = context.bpf_maps.find(map.map_id());
  if (known == context.bpf_maps.end()) {
    if (!map.carries_data()) return fail(ErrorKind::kImages, "a BPF map without its elements");
    auto made = TRY(context.keep(TRY(make_map(map))));
    known = context.bpf_maps.emplace(map.map_id(), std::move(made)).first;
  }
  const auto info = TRY(kernel::bpf_map_info(known->second.get()));
  return kernel::bpf_open_map(info.id, bpf_mode(image.flags()));
}

}  // namespace cryostat::files
