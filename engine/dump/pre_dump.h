// Saves the memory of a process that runs on: what cr-pre-dump(1) does, to make the freeze of a
// later dump short.
#pragma once

#include "engine/base/deadline.h"
#include "engine/base/error.h"
#include "engine/base/progress.h"
#include "engine/dump/dump.h"
#include "engine/dump/options.h"

namespace cryostat::dump {

// Freezes `options.pid` only to see its mappings and to arm the tracker; pages are read while it
// runs. What it writes meanwhile is reported as written by the tracker, so a torn page is never the
// last word about it. The checkpoint holds memory alone. Uses images_dir, pid, increment (track_mem
// is taken for granted), ghost_limit_bytes and timeout. Errors as run().
Result<Outcome> pre_dump(const Options& options, const StopRequest& stop, Progress& progress);

}  // namespace cryostat::dump
