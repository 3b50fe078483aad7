// /proc/cpuinfo (proc_cpuinfo(5)).
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "engine/base/error.h"

namespace cryostat::procfs {

struct CpuInfo {
  std::string model_name;
  std::vector<std::string> flags;  // in the order printed
};

// Of the first processor listed.
Result<CpuInfo> parse_cpuinfo(std::string_view text);

}  // namespace cryostat::procfs
