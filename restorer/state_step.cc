#include "restorer/state_step.h"

namespace cryostat::restorer {

void install_filters(const wire::WireSpan<wire::SeccompFilterState>& filters, void* arena,
                     uint64_t extra_flags, StateStep& step) {
  const wire::SeccompFilterState* items = filters.in(arena);
  for (uint64_t i = 0; i < filters.count; ++i) {
    wire::calls::KernelFilterProgram program;
    program.length = static_cast<uint16_t>(items[i].instructions.count);
    program.instructions = address_of(items[i].instructions.in(arena));
    const long result = step.run(wire::StateCall::kSeccomp, i, __NR_seccomp, kSeccompSetModeFilter,
                                 items[i].flags | extra_flags, address_of(&program));
    // With TSYNC a positive result is the thread that could not follow.
    if (result > 0) step.fail(wire::StateCall::kSeccomp, i, -3 /* ESRCH */);
  }
}

}  // namespace cryostat::restorer
