// What can't be saved (or put back), one line per object, gathered before anything is changed.
#pragma once

#include <string>
#include <vector>

#include "engine/base/error.h"
#include "engine/base/ids.h"

namespace cryostat {

class Refusals {
 public:
  // "pid 4242 fd 7: io_uring instance can't be checkpointed": object "fd 7" (may be empty),
  // reason "io_uring instance can't be checkpointed".
  void add(HostPid pid, std::string object, std::string reason);
  // Takes over the lines of another list.
  void append(const Refusals& others) {
    lines_.insert(lines_.end(), others.lines_.begin(), others.lines_.end());
  }
  bool empty() const { return lines_.empty(); }
  const std::vector<std::string>& lines() const { return lines_; }
  // kRefused with every line, or nothing when empty.
  Result<void> check() const;

 private:
  std::vector<std::string> lines_;
};

}  // namespace cryostat
