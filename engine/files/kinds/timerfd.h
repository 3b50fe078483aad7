// timerfd_create(2): a timer with its time left and unread expirations.
#pragma once

#include "engine/files/kind.h"

namespace cryostat::files {

class TimerFdKind final : public DescriptorKind {
 public:
  std::string_view name() const override { return "timerfd"; }
  bool matches(const OpenDescription& description) const override;
  Result<void> collect(CollectContext& context, const OpenDescription& description,
                       pb::Description& image) const override;
  bool owns(const pb::Description& image) const override;
  Result<UniqueFd> restore(RestoreContext& context, const pb::Description& image) const override;
};

}  // namespace cryostat::files
