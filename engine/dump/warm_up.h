// Takes the engine's first-touch costs before the target is frozen.
#pragma once

namespace cryostat::dump {

// Maps the engine's own code, heap and stack pages that the frozen stages will touch, so that no
// page fault of ours prolongs the freeze. Best effort: what fails is only slower. Call in the
// worker, just before the freeze.
void warm_up();

}  // namespace cryostat::dump
