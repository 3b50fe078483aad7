// /proc/<pid>/auxv (proc_pid_auxv(5), getauxval(3)).
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include "engine/base/error.h"

namespace cryostat::procfs {

struct AuxEntry {
  uint64_t type = 0;  // AT_*
  uint64_t value = 0;
};

// Entries up to and without AT_NULL. `bytes` is the file as read.
Result<std::vector<AuxEntry>> parse_auxv(std::string_view bytes);
std::optional<uint64_t> find_aux(const std::vector<AuxEntry>& entries, uint64_t type);

}  // namespace cryostat::procfs
