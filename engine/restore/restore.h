// The restore orchestrator: verifies, plans, creates the task and releases it.
#pragma once

#include <string>
#include <vector>

#include "engine/base/deadline.h"
#include "engine/base/error.h"
#include "engine/base/ids.h"
#include "engine/base/progress.h"
#include "engine/restore/options.h"
#include "proto/stats.pb.h"

namespace cryostat::restore {

struct Outcome {
  // The restored root, running (or stopped) and no longer traced; a child of the caller unless
  // Options::sibling. 0 after a dry run.
  HostPid root_pid;
  pb::RestoreStats stats;
  // After a dry run: what was checked, one line per requirement, ready to print.
  std::vector<std::string> plan_lines;
};

// Restores `options.images_dir`. On any error nothing that was created is left behind. A dry run
// whose requirements are all met returns plan_lines; one with a missing requirement is an error
// whose lines name what is missing. Prints nothing.
Result<Outcome> run(const Options& options, const StopRequest& stop, Progress& progress);

}  // namespace cryostat::restore
