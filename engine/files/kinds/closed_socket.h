// One end of a socketpair(2) whose other end is closed. Reading gives end of file and writing
// EPIPE, for ever; programs keep such an end to dup2(2) it over descriptors they invalidate (the
// JVM does).
#pragma once

#include "engine/files/kind.h"

namespace cryostat::files {

class ClosedSocketKind final : public DescriptorKind {
 public:
  std::string_view name() const override { return "closed socket pair"; }
  bool matches(const OpenDescription& description) const override;
  Result<void> collect(CollectContext& context, const OpenDescription& description,
                       pb::Description& image) const override;
  bool owns(const pb::Description& image) const override;
  Result<UniqueFd> restore(RestoreContext& context, const pb::Description& image) const override;
};

}  // namespace cryostat::files
