// eventfd(2): a counter.
#pragma once

#include "engine/files/kind.h"

namespace cryostat::files {

class EventFdKind final : public DescriptorKind {
 public:
  std::string_view name() const override { return "eventfd"; }
  bool matches(const OpenDescription& description) const override;
  Result<void> collect(CollectContext& context, const OpenDescription& description,
                       pb::Description& image) const override;
  bool owns(const pb::Description& image) const override;
  Result<UniqueFd> restore(RestoreContext& context, const pb::Description& image) const override;
};

}  // namespace cryostat::files
