// The dump orchestrator: freezes one process, saves it, and lets it go.
#pragma once

#include "engine/base/deadline.h"
#include "engine/base/error.h"
#include "engine/base/progress.h"
#include "engine/dump/options.h"
#include "proto/stats.pb.h"

namespace cryostat::dump {

struct Outcome {
  pb::DumpStats stats;
};

// Dumps `options.pid` into `options.images_dir`. On any error, and whenever `stop` is requested
// before the manifest is committed, the target runs on exactly as before and no complete checkpoint
// exists; every refused object is a line of the error (kRefused). Prints nothing.
Result<Outcome> run(const Options& options, const StopRequest& stop, Progress& progress);

}  // namespace cryostat::dump
