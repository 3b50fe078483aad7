// POSIX message queues (mq_overview(7)). A queue has a name and lives in its IPC namespace like a
// file in a file system: it is opened again, and must not have changed.
#pragma once

#include "engine/files/kind.h"

namespace cryostat::files {

class MessageQueueKind final : public DescriptorKind {
 public:
  std::string_view name() const override { return "POSIX message queue"; }
  bool matches(const OpenDescription& description) const override;
  Result<void> collect(CollectContext& context, const OpenDescription& description,
                       pb::Description& image) const override;
  bool owns(const pb::Description& image) const override;
  void check(CheckContext& context, const pb::Description& image,
             PlanReport& report) const override;
  Result<UniqueFd> restore(RestoreContext& context, const pb::Description& image) const override;
};

}  // namespace cryostat::files
