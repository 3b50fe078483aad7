// Configuration files: one option per line, named as on the command line without the dashes.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "engine/base/error.h"

namespace cryostat::cli {

struct ConfigSetting {
  std::string name;                  // "work-dir"
  std::optional<std::string> value;  // nothing for a plain switch
  size_t line;                       // counted from 1
};

// Reads lines of the forms `name`, `name value`, `name = value`; `#` starts a comment; a value may
// be in double quotes. kUsage with the line number for anything else.
Result<std::vector<ConfigSetting>> parse_config(std::string_view text);

// The file's settings. A file that is not there (or not for us to read) is an empty list
// unless `must_exist`. Errors name
// the file; larger files than 64 KiB are refused.
Result<std::vector<ConfigSetting>> read_config(const std::string& path, bool must_exist);

}  // namespace cryostat::cli
