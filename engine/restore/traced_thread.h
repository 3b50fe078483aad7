// The few ptrace requests a restore makes on the threads it created; each names itself and the
// thread when it fails. All need the thread in a ptrace stop, and the caller to be its tracer.
#pragma once

#include <sys/user.h>

#include <cstdint>
#include <span>
#include <string>

#include "engine/base/error.h"
#include "engine/base/ids.h"

namespace cryostat::restore {

// How a thread stands (or ended), from one waitpid(2) status.
struct ThreadStop {
  enum class Kind : uint8_t {
    kTrap,     // SIGTRAP: the blob's int3
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
// nullopt-like: kind kTrap with signal 0 means that nothing happened yet.
Result<bool> poll_stop(Tid tid, ThreadStop& stop);

// "was killed by SIGSEGV", "exited with status 1", "got SIGSEGV at 0x1234 (address 0x0)".
std::string describe(Tid tid, const ThreadStop& stop);

// `request`: PTRACE_CONT, PTRACE_SYSCALL or PTRACE_DETACH, with the signal to deliver (0: none).
Result<void> resume(Tid tid, int request, int signal = 0);
Result<void> interrupt(Tid tid);
Result<user_regs_struct> get_registers(Tid tid);
Result<void> set_registers(Tid tid, const user_regs_struct& registers);
// `xstate`: NT_X86_XSTATE of the image; shorter or longer than this machine's is fitted.
Result<void> set_xstate(Tid tid, std::span<const unsigned char> xstate,
                        std::span<unsigned char> scratch);
// Size of NT_X86_XSTATE here.
Result<size_t> xstate_size(Tid tid);
Result<void> set_signal_mask(Tid tid, uint64_t mask);

// Copies into or out of the thread's memory (process_vm_readv/writev); whole or an error.
Result<void> read_memory(HostPid pid, uint64_t address, std::span<unsigned char> out);
Result<void> write_memory(HostPid pid, uint64_t address, std::span<const unsigned char> in);

// Makes the stopped thread do one system call at `syscall_insn` and returns what the kernel
// returned. Runs between two system call stops, which touch no signal state (a single step would).
// The thread's registers are left changed: the caller sets them afterwards.
Result<int64_t> call_in_thread(Tid tid, uint64_t syscall_insn, int64_t number,
                               std::span<const uint64_t> arguments);

}  // namespace cryostat::restore
