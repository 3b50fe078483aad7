// Character devices without state of their own: /dev/null, zero, full, random, urandom.
#pragma once

#include "engine/files/kind.h"

namespace cryostat::files {

class CharDeviceKind final : public DescriptorKind {
 public:
  std::string_view name() const override { return "character device"; }
  bool matches(const OpenDescription& description) const override;
  Result<void> collect(CollectContext& context, const OpenDescription& description,
                       pb::Description& image) const override;
  bool owns(const pb::Description& image) const override;
  void check(CheckContext& context, const pb::Description& image,
             PlanReport& report) const override;
  Result<UniqueFd> restore(RestoreContext& context, const pb::Description& image) const override;
};

}  // namespace cryostat::files
