// pidfd_open(2): descriptors of processes of the target, alive or long gone.
#pragma once

#include "engine/files/kind.h"

namespace cryostat::files {

class PidFdKind final : public DescriptorKind {
 public:
  std::string_view name() const override { return "pidfd"; }
  bool matches(const OpenDescription& description) const override;
  Result<void> collect(CollectContext& context, const OpenDescription& description,
                       pb::Description& image) const override;
  bool owns(const pb::Description& image) const override;
  // Those of one dead process are the same object, and opened from one.
  void link(const pb::Description& image, DescriptionGroups& groups) const override;
  Result<UniqueFd> restore(RestoreContext& context, const pb::Description& image) const override;
};

}  // namespace cryostat::files
