// Places held with O_PATH (open(2)): a file of any type, not open for anything.
#pragma once

#include "engine/files/kind.h"

namespace cryostat::files {

class OPathKind final : public DescriptorKind {
 public:
  std::string_view name() const override { return "O_PATH descriptor"; }
  bool matches(const OpenDescription& description) const override;
  Result<void> collect(CollectContext& context, const OpenDescription& description,
                       pb::Description& image) const override;
  bool owns(const pb::Description& image) const override;
  void check(CheckContext& context, const pb::Description& image,
             PlanReport& report) const override;
  Result<UniqueFd> restore(RestoreContext& context, const pb::Description& image) const override;
};

}  // namespace cryostat::files
