// The ptrace(2) requests on one thread, each naming itself and the thread when it fails.
// Unless said otherwise the thread must be in a ptrace stop and the calling thread its tracer.
#pragma once

#include <sys/user.h>

#include <csignal>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "engine/base/deadline.h"
#include "engine/base/error.h"
#include "engine/base/ids.h"
#include "engine/ptrace/wait_status.h"

namespace cryostat::ptrace {

// One bit for every signal.
inline constexpr uint64_t kAllSignals = ~uint64_t{0};
constexpr uint64_t signal_bit(int signal) { return uint64_t{1} << (signal - 1); }

// struct ptrace_rseq_configuration (PTRACE_GET_RSEQ_CONFIGURATION, 5.13). address 0: none
// registered.
struct RseqConfig {
  uint64_t address = 0;
  uint32_t size_bytes = 0;
  uint32_t signature = 0;
  uint32_t flags = 0;
};

// `options`: PTRACE_O_* | …. The thread goes on running. Works on any thread.
Result<void> seize(Tid tid, unsigned options);
// Asks a running tracee to stop; wait for it.
Result<void> interrupt(Tid tid);
// `request`: PTRACE_CONT, PTRACE_SYSCALL or PTRACE_DETACH; `signal` is delivered (0: none).
Result<void> resume(Tid tid, int request, int signal = 0);

Result<user_regs_struct> get_registers(Tid tid);
Result<void> set_registers(Tid tid, const user_regs_struct& registers);
// NT_X86_XSTATE: XSAVE area in standard format, of the size this kernel gives.
Result<std::vector<unsigned char>> get_xstate(Tid tid);
Result<void> set_xstate(Tid tid, std::span<const unsigned char> xstate);
// Bit n-1 is signal n. In a call like sigsuspend(2) or ppoll(2) the mask is the one outside the
// call; such a call starts again with its own after set_signal_mask().
Result<uint64_t> get_signal_mask(Tid tid);
Result<void> set_signal_mask(Tid tid, uint64_t mask);

enum class SignalQueue : uint8_t { kPrivate, kShared };
// The pending signals of the thread or of its group, oldest first (PTRACE_PEEKSIGINFO, 3.10).
Result<std::vector<siginfo_t>> peek_signals(Tid tid, SignalQueue queue);
// Of the signal in a signal-delivery-stop.
Result<siginfo_t> get_siginfo(Tid tid);
Result<void> set_siginfo(Tid tid, const siginfo_t& info);

// All zero when the kernel lacks the request (before 5.13) or nothing is registered.
Result<RseqConfig> get_rseq_config(Tid tid);
// The `index`th newest seccomp filter as 8-byte BPF instructions; nullopt past the last one.
// Needs CAP_SYS_ADMIN.
Result<std::optional<std::vector<uint64_t>>> get_seccomp_filter(Tid tid, unsigned index);
// True when system calls of the thread are redirected (prctl PR_SET_SYSCALL_USER_DISPATCH);
// false where the kernel can't tell (before 6.4).
Result<bool> has_syscall_user_dispatch(Tid tid);

// The thread's next change of state. kFailed "timed out" at the deadline, the stop request's error
// when one is made; kTargetGone when the thread is not a tracee (any more). The thread may be
// running. Blocks SIGCHLD in the calling thread while it waits and looks at the status every 10 ms
// in any case.
Result<WaitStatus> wait(Tid tid, const Deadline& deadline, const StopRequest& stop);
// Without waiting.
Result<std::optional<WaitStatus>> poll(Tid tid);

}  // namespace cryostat::ptrace
