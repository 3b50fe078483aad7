// /proc/<pid>/statm (proc_pid_statm(5)): a cheap, inexact count of a task's memory.
#pragma once

#include <cstdint>
#include <string_view>

#include "engine/base/error.h"

namespace cryostat::procfs {

struct Statm {
  uint64_t size_pages = 0;
  uint64_t resident_pages = 0;
  uint64_t shared_pages = 0;  // resident pages of files and shared memory

  // Resident pages that are the task's own. The kernel's counters may lag by some pages.
  uint64_t private_pages() const {
    return resident_pages > shared_pages ? resident_pages - shared_pages : 0;
  }
};

// kFailed when the text does not begin with three numbers.
Result<Statm> parse_statm(std::string_view text);

}  // namespace cryostat::procfs
