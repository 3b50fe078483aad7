// The task and thread state part of the restorer's plan: what only the task itself can set.
#pragma once

#include <cstdint>

#include "proto/wire/span.h"

namespace cryostat::wire {

struct ThreadState {};
struct TaskState {};

}  // namespace cryostat::wire
