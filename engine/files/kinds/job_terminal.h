// The terminal a shell job was started from; at restore, the one cr-restore runs in.
#pragma once

#include "engine/files/kind.h"

namespace cryostat::files {

class JobTerminalKind final : public DescriptorKind {
 public:
  std::string_view name() const override { return "terminal"; }
  bool matches(const OpenDescription& description) const override;
  Result<void> collect(CollectContext& context, const OpenDescription& description,
                       pb::Description& image) const override;
  bool owns(const pb::Description& image) const override;
  void check(CheckContext& context, const pb::Description& image,
             PlanReport& report) const override;
  Result<UniqueFd> restore(RestoreContext& context, const pb::Description& image) const override;
};

}  // namespace cryostat::files
