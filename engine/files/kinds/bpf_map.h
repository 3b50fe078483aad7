// BPF maps (bpf(2)) of the types hash and array, with what is in them.
#pragma once

#include "engine/files/kind.h"

namespace cryostat::files {

class BpfMapKind final : public DescriptorKind {
 public:
  std::string_view name() const override { return "BPF map"; }
  bool matches(const OpenDescription& description) const override;
  Result<void> collect(CollectContext& context, const OpenDescription& description,
                       pb::Description& image) const override;
  bool owns(const pb::Description& image) const override;
  void link(const pb::Description& image, DescriptionGroups& groups) const override;
  Result<UniqueFd> restore(RestoreContext& context, const pb::Description& image) const override;
};

}  // namespace cryostat::files
