#include "engine/ptrace/traced_thread.h"

#include <elf.h>
#include <fmt/format.h>
#include <signal.h>
#include <errno.h>
#include <string.h>

#include <sys/ptrace.h>
#include <sys/uio.h>
#include <sys/wait.h>

#include <algorithm>
#include <array>

namespace cryostat::ptrace {
namespace {

// linux/ptrace.h, which can't be included beside sys/ptrace.h.
constexpr int kGetRseqConfiguration = 0x420f;
struct RseqAnswer {
  uint64_t address;
  uint32_t size_bytes;
  uint32_t signature;
  uint32_t flags;
  uint32_t padding;
};

// More than any processor's extended state (AMX included).
constexpr size_t kXstateBufferBytes = 64 * 1024;

ThreadStop decode(int status) {
  ThreadStop stop;
  if (WIFEXITED(status)) {
    stop.kind = ThreadStop::Kind::kEnded;
    stop.status = WEXITSTATUS(status);
    return stop;
  }
  if (WIFSIGNALED(status)) {
    stop.kind = ThreadStop::Kind::kEnded;
    stop.signal = WTERMSIG(status);
    return stop;
  }
  stop.signal = WSTOPSIG(status);
  if (status >> 16 == PTRACE_EVENT_STOP) {
    stop.kind = ThreadStop::Kind::kEvent;
  } else if (stop.signal == (SIGTRAP | 0x80)) {
    stop.kind = ThreadStop::Kind::kSyscall;
  } else if (stop.signal != SIGTRAP) {
    stop.kind = ThreadStop::Kind::kSignal;
  }
  return stop;
}

// The request's own name belongs to the message.
Failure request_failed(const char* request, Tid tid) {
  const int error = errno;
  return fail_errno(error, fmt::format("{} thread {}", request, tid.value));
}

Result<void> wait_for_syscall_stop(Tid tid) {
  for (;;) {
    const ThreadStop stop = TRY(wait_for_stop(tid));
    if (stop.kind == ThreadStop::Kind::kSyscall) return {};
    // A SIGSTOP from somewhere: nothing a call may be lost over.
    const bool harmless = stop.kind == ThreadStop::Kind::kEvent ||
                          (stop.kind == ThreadStop::Kind::kSignal && stop.signal == SIGSTOP);
    if (!harmless)
      return fail(ErrorKind::kFailed, fmt::format("thread {} {}", tid.value, describe(tid, stop)));
    TRY(resume(tid, PTRACE_SYSCALL));
  }
}

}  // namespace

std::string signal_name(int signal) {
  const char* name = sigabbrev_np(signal);
  return name != nullptr ? fmt::format("SIG{}", name) : fmt::format("signal {}", signal);
}

Result<ThreadStop> wait_for_stop(Tid tid) {
  int status = 0;
  for (;;) {
    if (waitpid(tid.value, &status, __WALL) == tid.value) return decode(status);
    if (errno != EINTR) return request_failed("wait for", tid);
  }
}

Result<bool> poll_stop(Tid tid, ThreadStop& stop) {
  int status = 0;
  const pid_t got = waitpid(tid.value, &status, __WALL | WNOHANG);
  if (got < 0 && errno != EINTR) return request_failed("wait for", tid);
  if (got <= 0) return false;
  stop = decode(status);
  return true;
}

std::string describe(Tid tid, const ThreadStop& stop) {
  if (stop.kind == ThreadStop::Kind::kEnded) {
    return stop.signal != 0 ? fmt::format("was killed by {}", signal_name(stop.signal))
                            : fmt::format("exited with status {}", stop.status);
  }
  siginfo_t info{};
  const Result<user_regs_struct> registers = get_registers(tid);
  if (stop.kind != ThreadStop::Kind::kSignal || !registers.has_value() ||
      ::ptrace(PTRACE_GETSIGINFO, tid.value, nullptr, &info) != 0) {
    return fmt::format("stopped with {}", signal_name(stop.signal & 0x7f));
  }
  return fmt::format("got {} (code {}) at {:#x}, address {}", signal_name(stop.signal),
                     info.si_code, registers->rip, fmt::ptr(info.si_addr));
}

Result<void> resume(Tid tid, int request, int signal) {
  if (::ptrace(static_cast<__ptrace_request>(request), tid.value, nullptr, signal) == 0) return {};
  return request_failed(request == PTRACE_DETACH ? "PTRACE_DETACH" : "PTRACE_CONT", tid);
}

Result<void> seize(Tid tid, unsigned options) {
  if (::ptrace(PTRACE_SEIZE, tid.value, nullptr, options) == 0) return {};
  return request_failed("PTRACE_SEIZE", tid);
}

Result<void> interrupt(Tid tid) {
  if (::ptrace(PTRACE_INTERRUPT, tid.value, nullptr, nullptr) == 0) return {};
  return request_failed("PTRACE_INTERRUPT", tid);
}

Result<user_regs_struct> get_registers(Tid tid) {
  user_regs_struct registers{};
  if (::ptrace(PTRACE_GETREGS, tid.value, nullptr, &registers) != 0)
    return request_failed("PTRACE_GETREGS", tid);
  return registers;
}

Result<void> set_registers(Tid tid, const user_regs_struct& registers) {
  if (::ptrace(PTRACE_SETREGS, tid.value, nullptr, &registers) == 0) return {};
  return request_failed("PTRACE_SETREGS", tid);
}

Result<void> get_xstate(Tid tid, std::vector<unsigned char>& buffer) {
  buffer.resize(kXstateBufferBytes);
  iovec io{buffer.data(), buffer.size()};
  if (::ptrace(PTRACE_GETREGSET, tid.value, NT_X86_XSTATE, &io) != 0)
    return request_failed("PTRACE_GETREGSET NT_X86_XSTATE", tid);
  buffer.resize(io.iov_len);
  return {};
}

Result<void> set_xstate(Tid tid, std::span<const unsigned char> xstate) {
  iovec io{const_cast<unsigned char*>(xstate.data()), xstate.size()};
  if (::ptrace(PTRACE_SETREGSET, tid.value, NT_X86_XSTATE, &io) == 0) return {};
  return request_failed("PTRACE_SETREGSET NT_X86_XSTATE", tid);
}

Result<size_t> xstate_size(Tid tid) {
  std::vector<unsigned char> buffer(kXstateBufferBytes);
  iovec io{buffer.data(), buffer.size()};
  if (::ptrace(PTRACE_GETREGSET, tid.value, NT_X86_XSTATE, &io) != 0) {
    return request_failed("PTRACE_GETREGSET NT_X86_XSTATE", tid);
  }
  return io.iov_len;
}

Result<void> set_xstate(Tid tid, std::span<const unsigned char> xstate,
                        std::span<unsigned char> scratch) {
  // The kernel takes exactly its own size. What a longer image has beyond is unused here (the plan
  // has compared XCR0); what a shorter one lacks is in its initial state.
  const size_t common = std::min(xstate.size(), scratch.size());
  std::copy_n(xstate.begin(), common, scratch.begin());
  std::fill(scratch.begin() + static_cast<ptrdiff_t>(common), scratch.end(), 0);
  iovec io{scratch.data(), scratch.size()};
  if (::ptrace(PTRACE_SETREGSET, tid.value, NT_X86_XSTATE, &io) == 0) return {};
  return request_failed("PTRACE_SETREGSET NT_X86_XSTATE", tid);
}

Result<uint64_t> get_signal_mask(Tid tid) {
  uint64_t mask = 0;
  if (::ptrace(PTRACE_GETSIGMASK, tid.value, sizeof(mask), &mask) == 0) return mask;
  return request_failed("PTRACE_GETSIGMASK", tid);
}

Result<void> set_signal_mask(Tid tid, uint64_t mask) {
  if (::ptrace(PTRACE_SETSIGMASK, tid.value, sizeof(mask), &mask) == 0) return {};
  return request_failed("PTRACE_SETSIGMASK", tid);
}

Result<RseqConfiguration> get_rseq(Tid tid) {
  RseqAnswer kernel{};
  const long got = ::ptrace(static_cast<__ptrace_request>(kGetRseqConfiguration), tid.value,
                            sizeof(kernel), &kernel);
  if (got < 0) {
    const int error = errno;
    Error failure = Error::from_errno(
        error, fmt::format("PTRACE_GET_RSEQ_CONFIGURATION thread {}", tid.value));
    if (error == EIO || error == EINVAL) failure = std::move(failure).as(ErrorKind::kMachine);
    return tl::unexpected(std::move(failure));
  }
  return RseqConfiguration{kernel.address, kernel.size_bytes, kernel.signature, kernel.flags};
}

Result<void> stop_in_signal_path(Tid tid) {
  TRY(interrupt(tid));
  TRY(resume(tid, PTRACE_CONT));
  for (;;) {
    const ThreadStop stop = TRY(wait_for_stop(tid));
    if (stop.kind == ThreadStop::Kind::kEvent) return {};
    // Only SIGSTOP and SIGKILL get through a full mask; the first one leads to a group stop.
    const bool stopping = stop.kind == ThreadStop::Kind::kSignal && stop.signal == SIGSTOP;
    if (!stopping && stop.kind != ThreadStop::Kind::kSyscall)
      return fail(stop.kind == ThreadStop::Kind::kEnded ? ErrorKind::kTargetGone : ErrorKind::kFailed,
                  fmt::format("thread {} {}", tid.value, describe(tid, stop)));
    TRY(resume(tid, PTRACE_CONT, stopping ? SIGSTOP : 0));
  }
}

Result<int64_t> call_in_thread(Tid tid, uint64_t syscall_insn, int64_t number,
                               std::span<const uint64_t> arguments) {
  user_regs_struct registers = TRY(get_registers(tid));
  std::array<uint64_t, 6> args{};
  std::copy_n(arguments.begin(), std::min(arguments.size(), args.size()), args.begin());
  registers.rax = static_cast<uint64_t>(number);
  registers.orig_rax = static_cast<uint64_t>(-1);  // not inside a system call: nothing to restart
  registers.rdi = args[0];
  registers.rsi = args[1];
  registers.rdx = args[2];
  registers.r10 = args[3];
  registers.r8 = args[4];
  registers.r9 = args[5];
  registers.rip = syscall_insn;
  TRY(set_registers(tid, registers));
  TRY(resume(tid, PTRACE_SYSCALL));
  TRY(wait_for_syscall_stop(tid));
  TRY(resume(tid, PTRACE_SYSCALL));
  TRY(wait_for_syscall_stop(tid));
  return static_cast<int64_t>(TRY(get_registers(tid)).rax);
}

}  // namespace cryostat::ptrace
