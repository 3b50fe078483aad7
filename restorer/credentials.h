// Credentials of one thread, from inside.
#pragma once

#include "restorer/state_step.h"

namespace cryostat::restorer {

// Groups, ids, securebits and the five capability sets. From the first call that gives something up
// to the last, the order keeps the privilege each next call needs (capabilities(7)).
void apply_credentials(const wire::ThreadState& state, void* arena, StateStep& step);

}  // namespace cryostat::restorer
