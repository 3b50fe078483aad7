// Words for the detail of a failed state step in the restorer.
#pragma once

#include <cstdint>
#include <string>

namespace cryostat::task {

// "create POSIX timer 3" for state_detail(kTimerCreate, 3).
std::string describe_state_detail(uint64_t detail);

}  // namespace cryostat::task
