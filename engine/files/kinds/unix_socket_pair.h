// Unnamed UNIX sockets: pairs (socketpair(2)) with what waits in them, ends whose other end is
// closed, and sockets that are not connected.
#pragma once

#include "engine/files/kind.h"

namespace cryostat::files {

class UnixSocketPairKind final : public DescriptorKind {
 public:
  std::string_view name() const override { return "UNIX socket pair"; }
  bool matches(const OpenDescription& description) const override;
  Result<void> collect(CollectContext& context, const OpenDescription& description,
                       pb::Description& image) const override;
  bool owns(const pb::Description& image) const override;
  void link(const pb::Description& image, DescriptionGroups& groups) const override;
  Result<UniqueFd> restore(RestoreContext& context, const pb::Description& image) const override;
  Result<void> finish(RestoreContext& context, const pb::Description& image, int fd) const override;
};

}  // namespace cryostat::files
