// Sockets of the Internet families: TCP (closed, bound, listening), UDP, UDP-Lite, ICMP and raw.
#pragma once

#include "engine/files/kind.h"

namespace cryostat::files {

class InetSocketKind final : public DescriptorKind {
 public:
  std::string_view name() const override { return "Internet socket"; }
  bool matches(const OpenDescription& description) const override;
  Result<void> collect(CollectContext& context, const OpenDescription& description,
                       pb::Description& image) const override;
  bool owns(const pb::Description& image) const override;
  Result<UniqueFd> restore(RestoreContext& context, const pb::Description& image) const override;
};

}  // namespace cryostat::files
