// Reads a command line and its configuration files against a table. Heavy header: only parse.cc
// includes it.
#pragma once

#include <boost/program_options/options_description.hpp>
#include <boost/program_options/variables_map.hpp>
#include <span>
#include <string>

#include "engine/base/error.h"
#include "engine/cli/options.h"

namespace cryostat::cli {

// What a tool accepts.
struct OptionSpec {
  std::string tool;  // "cr-dump"
  boost::program_options::options_description accepted;
  // Names of the other tool's options: skipped in configuration files, which both tools share.
  boost::program_options::options_description elsewhere;
};

// The values given, the command line first and then the configuration files it allows. kUsage names
// the option (and the file and line). Values themselves are not checked.
Result<boost::program_options::variables_map> read_options(const OptionSpec& spec,
                                                           std::span<const char* const> arguments,
                                                           const ConfigPaths& config);

}  // namespace cryostat::cli
