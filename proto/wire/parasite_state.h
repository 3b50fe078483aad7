// What only the task itself can tell about its state.
#pragma once

#include <cstdint>

namespace cryostat::wire {

struct TaskStateReport {};
struct ThreadStateReport {};

}  // namespace cryostat::wire
