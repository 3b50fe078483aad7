// Directories, with the position of readdir(3).
#pragma once

#include "engine/files/kind.h"

namespace cryostat::files {

class DirectoryKind final : public DescriptorKind {
 public:
  std::string_view name() const override { return "directory"; }
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
