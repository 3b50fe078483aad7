// From hosted code into the restorer blob: lays out the area, copies blob and arena there, jumps.
#pragma once

#include "engine/base/error.h"
#include "engine/restore/child_channel.h"
#include "engine/restore/hosted_child.h"

namespace cryostat::restore {

// A laid out area, ready to be entered.
struct Launch {
  LaunchReport report;
  uint64_t entry = 0;      // address of the blob's entry
  uint64_t stack_top = 0;  // of the leader
};

// Maps and fills the area. `arena` starts with room for the RestorerPlan, whose final value is
// `plan`; threads, memory and task are filled already.
Result<Launch> prepare_launch(const HostedPlan& hosted, ChildContext& context, WireArena& arena,
                              wire::RestorerPlan& plan);

// Leaves hosted code for good.
[[noreturn]] void enter_blob(const Launch& launch);

}  // namespace cryostat::restore
