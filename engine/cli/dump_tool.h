// What cr-dump and cr-pre-dump have in common: everything but what they do to the target.
#pragma once

#include <functional>
#include <span>
#include <string>

#include "engine/base/progress.h"
#include "engine/cli/options.h"
#include "engine/dump/dump.h"

namespace cryostat::cli {

struct DumpTool {
  const char* name;
  const char* activity;  // of the progress line
  Result<DumpOptions> (*parse)(std::span<const char* const> arguments, const ConfigPaths& config);
  std::string (*help)();
  Result<dump::Outcome> (*run)(const dump::Options& options, const StopRequest& stop,
                               Progress& progress);
};

// The main of such a tool; the exit code.
int dump_main(const DumpTool& tool, int argc, char** argv);

}  // namespace cryostat::cli
