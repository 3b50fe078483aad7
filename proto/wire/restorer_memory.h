// The memory part of the restorer's plan: every VMA and where its pages come from.
#pragma once

#include <cstdint>

#include "proto/wire/span.h"

namespace cryostat::wire {

struct MemoryPlan {};

}  // namespace cryostat::wire
