// UNIX sockets with another end: pairs (socketpair(2)) and connections with what waits in them,
// also when the other end is closed or was not accepted yet; and sockets that are not connected.
#pragma once

#include "engine/files/kind.h"

namespace cryostat::files {

class UnixSocketPairKind final : public DescriptorKind {
 public:
  std::string_view name() const override { return "UNIX socket"; }
  bool matches(const OpenDescription& description) const override;
  Result<void> collect(CollectContext& context, const OpenDescription& description,
                       pb::Description& image) const override;
  bool owns(const pb::Description& image) const override;
  void check(CheckContext& context, const pb::Description& image,
             PlanReport& report) const override;
  void link(const pb::Description& image, DescriptionGroups& groups) const override;
  Result<UniqueFd> restore(RestoreContext& context, const pb::Description& image) const override;
  Result<void> finish(RestoreContext& context, const pb::Description& image, int fd) const override;
};

}  // namespace cryostat::files
