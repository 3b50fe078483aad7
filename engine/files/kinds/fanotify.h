// fanotify(7) groups and their marks.
#pragma once

#include "engine/files/kind.h"

namespace cryostat::files {

class FanotifyKind final : public DescriptorKind {
 public:
  std::string_view name() const override { return "fanotify"; }
  bool matches(const OpenDescription& description) const override;
  Result<void> collect(CollectContext& context, const OpenDescription& description,
                       pb::Description& image) const override;
  bool owns(const pb::Description& image) const override;
  void check(CheckContext& context, const pb::Description& image,
             PlanReport& report) const override;
  Result<UniqueFd> restore(RestoreContext& context, const pb::Description& image) const override;
  // Marks come last: opening the target's other files would be reported by them.
  Result<void> finish(RestoreContext& context, const pb::Description& image, int fd) const override;
};

}  // namespace cryostat::files
