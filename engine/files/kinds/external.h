// Open files that lie outside the checkpoint (--external): the caller of cr-restore hands in a
// descriptor for each (--inherit-fd).
#pragma once

#include "engine/files/kind.h"

namespace cryostat::files {

class ExternalKind final : public DescriptorKind {
 public:
  std::string_view name() const override { return "external"; }
  // Asked before every other kind is: by name, not by what the object is.
  bool matches(const OpenDescription& description) const override;
  Result<void> collect(CollectContext& context, const OpenDescription& description,
                       pb::Description& image) const override;
  bool owns(const pb::Description& image) const override;
  void check(CheckContext& context, const pb::Description& image,
             PlanReport& report) const override;
  Result<UniqueFd> restore(RestoreContext& context, const pb::Description& image) const override;
};

}  // namespace cryostat::files
