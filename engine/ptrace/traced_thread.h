// The ptrace(2) requests on one thread, each naming itself and the thread when it fails. All but
// seize() need the caller to be the thread's tracer; all but seize(), interrupt() and the waits
// need the thread in a ptrace stop.
#pragma once

#include <stddef.h>
#include <sys/user.h>

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "engine/base/deadline.h"
#include "engine/base/error.h"
#include "engine/base/ids.h"

namespace cryostat::ptrace {

// How a thread stands (or ended), from one waitpid(2) status.
struct ThreadStop {
  enum class Kind : uint8_t {
    kTrap,     // SIGTRAP: an int3, or a SIGTRAP sent by someone
    kSyscall,  // at the entry or exit of a system call
    kEvent,    // PTRACE_EVENT_STOP: just created, interrupted, or in a group stop
    kSignal,   // about to receive `signal`
    kEnded,    // exited with `status`, or killed by `signal`
  };
  Kind kind = Kind::kTrap;
  int signal = 0;  // kEvent: the signal of a group stop, SIGTRAP otherwise
  int status = 0;
};

// Waits for the thread's next stop. A signal that interrupts the wait is ignored, so a stop request
// is seen at the next check. kFailed when the thread is not (any more) a tracee.
Result<ThreadStop> wait_for_stop(Tid tid);
// False when nothing happened yet.
Result<bool> poll_stop(Tid tid, ThreadStop& stop);

// "was killed by SIGSEGV", "exited with status 1", "got SIGSEGV at 0x1234 (address 0x0)".
std::string describe(Tid tid, const ThreadStop& stop);
// "SIGSEGV"; "signal 70" for numbers without a name.
std::string signal_name(int signal);

// Becomes the tracer without stopping the thread. `options`: PTRACE_O_*.
Result<void> seize(Tid tid, unsigned options);
Result<void> interrupt(Tid tid);
// `request`: PTRACE_CONT, PTRACE_SYSCALL or PTRACE_DETACH, with the signal to deliver (0: none).
Result<void> resume(Tid tid, int request, int signal = 0);

Result<user_regs_struct> get_registers(Tid tid);
Result<void> set_registers(Tid tid, const user_regs_struct& registers);
// NT_X86_XSTATE; `buffer` is resized to what the kernel gave.
Result<void> get_xstate(Tid tid, std::vector<unsigned char>& buffer);
// As get_xstate() gave it.
Result<void> set_xstate(Tid tid, std::span<const unsigned char> xstate);
// `xstate` of another machine: shorter or longer than this one's is fitted into `scratch`, which has
// the size of this machine's.
Result<void> set_xstate(Tid tid, std::span<const unsigned char> xstate,
                        std::span<unsigned char> scratch);
// Size of NT_X86_XSTATE here.
Result<size_t> xstate_size(Tid tid);
// Bit n-1 = signal n.
Result<uint64_t> get_signal_mask(Tid tid);
Result<void> set_signal_mask(Tid tid, uint64_t mask);

struct RseqConfiguration {
  uint64_t address = 0;  // 0: none registered
  uint32_t size_bytes = 0;
  uint32_t signature = 0;
  uint32_t flags = 0;
};
// PTRACE_GET_RSEQ_CONFIGURATION (5.13); kMachine where the kernel lacks it.
Result<RseqConfiguration> get_rseq(Tid tid);

// Makes the stopped thread do one system call at `syscall_insn` and returns what the kernel
// returned. Runs between two system call stops, which touch no signal state (a single step would).
// The thread's registers are left changed, and it stands in a system call exit stop: see
// stop_in_signal_path() before registers of an interrupted call are put back.
Result<int64_t> call_in_thread(Tid tid, uint64_t syscall_insn, int64_t number,
                               std::span<const uint64_t> arguments);

// Moves a thread from whatever ptrace stop to a PTRACE_EVENT_STOP. Only there (on the kernel's signal path)
// does setting rax to an -ERESTART code and orig_rax to the call's number restart the call; at a
// system call exit stop the code would leak into user space. Runs no user instruction.
Result<void> stop_in_signal_path(Tid tid);

}  // namespace cryostat::ptrace
