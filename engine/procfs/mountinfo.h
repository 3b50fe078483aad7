// /proc/<pid>/mountinfo (proc_pid_mountinfo(5)).
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "engine/base/error.h"

namespace cryostat::procfs {

struct Mount {
  int id = 0;
  int parent_id = 0;
  uint32_t dev_major = 0;
  uint32_t dev_minor = 0;
  std::string root;         // within the file system; escapes undone
  std::string mount_point;  // as the reader's root sees it; escapes undone
  std::string options;      // per mount
  std::string propagation;  // optional fields, blank separated
  std::string type;         // file system type
  std::string source;
  std::string super_options;
};

Result<std::vector<Mount>> parse_mountinfo(std::string_view text);

}  // namespace cryostat::procfs
