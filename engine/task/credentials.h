// Credentials of a thread (credentials(7), capabilities(7)): ids, groups, the five capability sets,
// securebits and no_new_privs. Each thread has its own.
#pragma once

#include <span>
#include <vector>

#include "engine/base/error.h"
#include "engine/base/wire_arena.h"
#include "proto/wire/restorer_state.h"

namespace cryostat {
class PlanReport;
}
namespace cryostat::pb {
class Credentials;
class Thread;
}  // namespace cryostat::pb

namespace cryostat::task {

struct StartState;

// Dump. `groups`: the supplementary groups, all of them.
void save_credentials(const wire::ThreadStateReport& report, std::span<const uint32_t> groups,
                      pb::Credentials& image);

// Restore, planning: ids and capabilities that whoever restores can't give.
void check_credentials(const std::vector<pb::Thread>& threads, const StartState& start,
                       PlanReport& report);

// Restore: the calls that lead from `start` to the credentials of the image.
void plan_credentials(const pb::Credentials& image, const StartState& start, WireArena& arena,
                      wire::ThreadState& state);

// "CAP_SYS_ADMIN"; "capability 77" for numbers without a name here.
std::string capability_name(unsigned number);

}  // namespace cryostat::task
