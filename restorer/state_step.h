// A sequence of state-setting system calls that ends at the first failure.
#pragma once

#include <asm/unistd.h>

#include "engine/kernel/raw_syscall.h"
#include "proto/wire/restorer_state.h"
#include "proto/wire/state_calls.h"

namespace cryostat::restorer {

inline uint64_t address_of(const void* object) { return reinterpret_cast<uint64_t>(object); }

// si_signo, the first word of a siginfo.
inline int32_t signal_number(const wire::PendingSignalState& signal) {
  int32_t number;
  __builtin_memcpy(&number, signal.siginfo, sizeof(number));
  return number;
}

class StateStep {
 public:
  // Makes the call unless an earlier one failed. `subject` goes into the detail of a failure.
  template <typename... Args>
  long run(wire::StateCall call, uint64_t subject, long number, Args... args) {
    if (error_ != 0) return error_;
    const long result = raw_syscall(number, static_cast<uint64_t>(args)...);
    if (is_syscall_error(result)) fail(call, subject, result);
    return result;
  }
  void fail(wire::StateCall call, uint64_t subject, long error) {
    if (error_ != 0) return;
    error_ = static_cast<int>(error);
    detail_ = wire::state_detail(call, subject);
  }
  bool failed() const { return error_ != 0; }
  // The step's result: 0, or -errno with the failed call in `*detail`.
  int finish(uint64_t* detail) const {
    if (error_ != 0) *detail = detail_;
    return error_;
  }

 private:
  int error_ = 0;
  uint64_t detail_ = 0;
};

inline constexpr uint64_t kSeccompModeStrict = 1;
inline constexpr uint64_t kSeccompSetModeFilter = 1;

// Installs seccomp programs in order; `extra_flags` (SECCOMP_FILTER_FLAG_*) are added to each one's
// own.
void install_filters(const wire::WireSpan<wire::SeccompFilterState>& filters, void* arena,
                     uint64_t extra_flags, StateStep& step);

}  // namespace cryostat::restorer
