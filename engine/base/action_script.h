// Programs of the user's that run at named moments of a dump or restore (--action-script).
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "engine/base/deadline.h"
#include "engine/base/error.h"

namespace cryostat {

struct ActionScripts {
  std::vector<std::string> programs;  // paths; run in this order
  std::string images_dir;             // CRTOOLS_IMAGE_DIR, made absolute

  bool empty() const { return programs.empty(); }

  // Runs each with CRTOOLS_SCRIPT_ACTION (`moment`, "pre-dump"), CRTOOLS_IMAGE_DIR and, where a
  // root task exists (`root_pid` not 0), CRTOOLS_INIT_PID in its environment, and waits for it. A
  // program without "#!" is run by sh. kFailed when one can't be started, ends with another status
  // than 0, or a stop is requested (it gets SIGTERM then). The children of the caller are left
  // alone.
  Result<void> run(std::string_view moment, int root_pid, const StopRequest& stop) const;
};

}  // namespace cryostat
