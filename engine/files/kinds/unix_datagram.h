// Datagram UNIX sockets that have a name or are connected to one that has: with what waits in them,
// whoever sent it.
#pragma once

#include "engine/files/kind.h"

namespace cryostat::files {

class UnixDatagramKind final : public DescriptorKind {
 public:
  std::string_view name() const override { return "UNIX datagram socket"; }
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
