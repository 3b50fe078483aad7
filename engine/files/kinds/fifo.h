// Named pipes with what is in them (fifo(7)).
#pragma once

#include "engine/files/kind.h"

namespace cryostat::files {

class FifoKind final : public DescriptorKind {
 public:
  std::string_view name() const override { return "FIFO"; }
  bool matches(const OpenDescription& description) const override;
  Result<void> collect(CollectContext& context, const OpenDescription& description,
                       pb::Description& image) const override;
  bool owns(const pb::Description& image) const override;
  void check(CheckContext& context, const pb::Description& image,
             PlanReport& report) const override;
  void link(const pb::Description& image, DescriptionGroups& groups) const override;
  Result<UniqueFd> restore(RestoreContext& context, const pb::Description& image) const override;
};

}  // namespace cryostat::files
