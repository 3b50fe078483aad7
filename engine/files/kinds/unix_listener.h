// Stream and seqpacket UNIX sockets that are bound and have no other end: listening ones
// (listen(2)) with the connections that wait in their backlogs, and those that never listened.
#pragma once

#include "engine/files/kind.h"
#include "engine/files/name_binder.h"

namespace cryostat::pb {
class UnixListener;
}

namespace cryostat::files {

class UnixListenerKind final : public DescriptorKind {
 public:
  std::string_view name() const override { return "listening UNIX socket"; }
  bool matches(const OpenDescription& description) const override;
  Result<void> collect(CollectContext& context, const OpenDescription& description,
                       pb::Description& image) const override;
  bool owns(const pb::Description& image) const override;
  void check(CheckContext& context, const pb::Description& image,
             PlanReport& report) const override;
  void link(const pb::Description& image, DescriptionGroups& groups) const override;
  Result<UniqueFd> restore(RestoreContext& context, const pb::Description& image) const override;
};

// The socket with this description, bound, with its options, and listening if it did: in the name
// of who is noted as the one who called listen(2), as far as possible. `backlog`: of listen(2).
Result<UniqueFd> open_unix_listener(NameBinder& names, const pb::Description& description,
                                    int backlog);
// A connection that waits, by its place in the backlog; gives the client.
Result<UniqueFd> connect_waiting(int listener, const pb::UnixListener& image, int place);

// Makes it, with all that waits in its backlog, into RestoreContext::unix_sockets, if it is not
// there.
Result<void> make_unix_listener(RestoreContext& context, uint32_t description);

}  // namespace cryostat::files
