// Pseudoterminals whose master the target has (pty(7)): masters, their slaves under any name, and
// slaves that were hung up.
#pragma once

#include "engine/files/kind.h"

namespace cryostat::files {

class PtyKind final : public DescriptorKind {
 public:
  std::string_view name() const override { return "pseudoterminal"; }
  // Every terminal: one whose master lies outside is handed on to the job's terminal.
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
