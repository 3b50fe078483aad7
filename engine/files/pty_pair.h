// Which descriptions of the target belong to one pseudoterminal, and making the pair again.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "engine/base/error.h"
#include "engine/base/unique_fd.h"
#include "engine/files/pty_queue.h"

namespace cryostat::pb {
class Pty;
class PtyState;
}  // namespace cryostat::pb

namespace cryostat::files {

class CollectContext;
struct OpenDescription;

// The master side of a pseudoterminal (/dev/ptmx).
bool is_pty_master(const OpenDescription& description);
// The N of /dev/pts/N, of a master; nothing when this kernel's fdinfo does not tell.
std::optional<uint32_t> master_index(const OpenDescription& master);

// The master of the target that `terminal` is the slave of; nullptr when it lies outside.
// kRefused when two masters of the target could be it (several devpts instances).
Result<const OpenDescription*> find_master(CollectContext& context,
                                           const OpenDescription& terminal);
// Has the target a living slave of this master?
Result<bool> has_slave(CollectContext& context, const OpenDescription& master);

// A slave description of our own, whatever lock there is: O_RDWR | O_NONBLOCK.
Result<UniqueFd> open_own_slave(int master);

// A new pseudoterminal of this number, unlocked, opened at `ptmx_path`. A devpts gives out the
// lowest free number. kMachine when it is taken.
Result<UniqueFd> create_master(const std::string& ptmx_path, uint32_t index);

// The settings of a pair, as far as they can be seen without touching it; `fds.slave` may be -1
// (never opened).
Result<void> save_pty_settings(PtyFds fds, pb::PtyState& state);
// A part of apply_pty_settings().
Result<void> set_window_size(int master, const pb::PtyState& state);
// Puts them on a new pair, after fill_pty(); what would be in the way of opening it (exclusive
// mode, lock) and packet mode come last, with close_pty().
Result<void> apply_pty_settings(PtyFds fds, const pb::PtyState& state);
Result<void> close_pty(PtyFds fds, const pb::PtyState& state);

}  // namespace cryostat::files
