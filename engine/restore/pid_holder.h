// Who has a process id that a restore needs.
#pragma once

#include <sys/types.h>

#include <optional>
#include <string>

namespace cryostat::restore {

struct PidHolder {
  std::string description;  // "pid 4242 is taken by `sleep` (started 10:02)"
  std::string hint;         // what to do about it
};

// Nothing when the number is free in the engine's pid namespace. Numbers that only live on as a
// process group or session of others count as taken: clone3(2) refuses them with EEXIST.
// `search_sessions` also looks at every process for a session of that number, which takes
// milliseconds: for the message after clone3 has refused.
std::optional<PidHolder> find_pid_holder(pid_t pid, bool search_sessions);

}  // namespace cryostat::restore
