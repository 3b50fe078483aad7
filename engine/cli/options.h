// What the command lines of the tools say, as plain data, and how they are read.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "engine/base/error.h"
#include "engine/dump/options.h"
#include "engine/restore/options.h"

namespace cryostat::cli {

// Options every tool of the suite understands in the same way.
struct SharedOptions {
  bool help = false;
  bool version = false;
  std::string log_file;  // relative to the work dir; "-" is stdout; empty: stderr
  int verbosity = 1;     // 0 errors, 1 warnings, 2 what is done, 3 details, 4 everything
  bool json = false;     // one JSON object with the result on stdout
  bool display_stats = false;
  std::string trace_file;  // spans as trace JSON; empty: none
};

struct DumpOptions {
  SharedOptions shared;
  dump::Options dump;
};

struct RestoreOptions {
  SharedOptions shared;
  restore::Options restore;
  std::string pidfile;  // relative to the work dir; empty: none
};

// Where the configuration files are looked for; tests point them elsewhere.
struct ConfigPaths {
  std::string system = "/etc/cryostat.conf";
  std::string user;  // empty: none
  // With the user's from $XDG_CONFIG_HOME or $HOME/.config.
  static ConfigPaths from_environment();
};

// Reads `arguments` (without the program name) and the configuration files they allow; the command
// line wins over `--config FILE`, which wins over the user's file, which wins over the system's.
// kUsage for anything that does not fit, with the option's name. When help or version is asked for,
// the rest is not checked.
Result<DumpOptions> parse_dump(std::span<const char* const> arguments, const ConfigPaths& config);
Result<DumpOptions> parse_pre_dump(std::span<const char* const> arguments,
                                   const ConfigPaths& config);
Result<RestoreOptions> parse_restore(std::span<const char* const> arguments,
                                     const ConfigPaths& config);

// The text behind --help.
std::string dump_help();
std::string pre_dump_help();
std::string restore_help();

}  // namespace cryostat::cli
