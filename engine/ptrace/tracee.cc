#include "engine/ptrace/tracee.h"

#include <elf.h>
#include <fmt/format.h>
#include <linux/filter.h>
#include <pthread.h>
#include <sched.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "engine/arch/x86_64/xstate.h"
#include "engine/kernel/constants.h"

namespace cryostat::ptrace {
namespace {

// libc's ptrace() changes the meaning of peeks; the plain call is the same for every request.
long request(int number, Tid tid, uint64_t address, const void* data) {
  return syscall(SYS_ptrace, number, tid.value, address, data);
}

Failure failed(const char* name, Tid tid) {
  const int error = errno;
  return fail_errno(error, fmt::format("{} thread {}", name, tid.value));
}

// struct ptrace_rseq_configuration
struct RseqConfiguration {
  uint64_t rseq_abi_pointer;
  uint32_t rseq_abi_size;
  uint32_t signature;
  uint32_t flags;
  uint32_t pad;
};

// struct ptrace_sud_config
struct UserDispatchConfig {
  uint64_t mode;
  uint64_t selector;
  uint64_t offset;
  uint64_t length;
};

// Keeps SIGCHLD pending while a wait looks for it; put back afterwards.
class BlockedSigchld {
 public:
  BlockedSigchld() {
    sigemptyset(&set_);
    sigaddset(&set_, SIGCHLD);
    pthread_sigmask(SIG_BLOCK, &set_, &before_);
  }
  BlockedSigchld(const BlockedSigchld&) = delete;
  BlockedSigchld& operator=(const BlockedSigchld&) = delete;
  ~BlockedSigchld() { pthread_sigmask(SIG_SETMASK, &before_, nullptr); }
  void wait_at_most(std::chrono::nanoseconds time) {
    const timespec limit{.tv_sec = time.count() / 1'000'000'000,
                         .tv_nsec = time.count() % 1'000'000'000};
    sigtimedwait(&set_, nullptr, &limit);
  }

 private:
  sigset_t set_;
  sigset_t before_;
};

// A thread of the parasite comes back within microseconds, sooner than a sleeping engine wakes up.
constexpr std::chrono::microseconds kSpinTime(100);

// SIGCHLD may be taken by another thread of the engine: then this is how late a stop is noticed.
constexpr std::chrono::milliseconds kLongestNap(10);

}  // namespace

Result<void> seize(Tid tid, unsigned options) {
  if (request(PTRACE_SEIZE, tid, 0, reinterpret_cast<const void*>(uintptr_t{options})) == 0)
    return {};
  return failed("PTRACE_SEIZE", tid);
}

Result<void> interrupt(Tid tid) {
  if (request(PTRACE_INTERRUPT, tid, 0, nullptr) == 0) return {};
  return failed("PTRACE_INTERRUPT", tid);
}

Result<void> resume(Tid tid, int how, int signal) {
  const auto data = static_cast<uintptr_t>(signal);
  if (request(how, tid, 0, reinterpret_cast<const void*>(data)) == 0) return {};
  return failed(how == PTRACE_DETACH ? "PTRACE_DETACH" : "resume", tid);
}

Result<user_regs_struct> get_registers(Tid tid) {
  user_regs_struct registers;
  if (request(PTRACE_GETREGS, tid, 0, &registers) == 0) return registers;
  return failed("PTRACE_GETREGS", tid);
}

Result<void> set_registers(Tid tid, const user_regs_struct& registers) {
  if (request(PTRACE_SETREGS, tid, 0, &registers) == 0) return {};
  return failed("PTRACE_SETREGS", tid);
}

Result<std::vector<unsigned char>> get_xstate(Tid tid) {
  unsigned char buffer[arch::kXstateMaxBytes];
  iovec area{buffer, sizeof(buffer)};
  if (request(PTRACE_GETREGSET, tid, NT_X86_XSTATE, &area) != 0) {
    return failed("PTRACE_GETREGSET NT_X86_XSTATE", tid);
  }
  return std::vector<unsigned char>(buffer, buffer + area.iov_len);
}

Result<void> set_xstate(Tid tid, std::span<const unsigned char> xstate) {
  iovec area{const_cast<unsigned char*>(xstate.data()), xstate.size()};
  if (request(PTRACE_SETREGSET, tid, NT_X86_XSTATE, &area) == 0) return {};
  return failed("PTRACE_SETREGSET NT_X86_XSTATE", tid);
}

Result<uint64_t> get_signal_mask(Tid tid) {
  uint64_t mask = 0;
  if (request(PTRACE_GETSIGMASK, tid, sizeof(mask), &mask) == 0) return mask;
  return failed("PTRACE_GETSIGMASK", tid);
}

Result<void> set_signal_mask(Tid tid, uint64_t mask) {
  if (request(PTRACE_SETSIGMASK, tid, sizeof(mask), &mask) == 0) return {};
  return failed("PTRACE_SETSIGMASK", tid);
}

Result<std::vector<siginfo_t>> peek_signals(Tid tid, SignalQueue queue) {
  constexpr int kBatch = 32;
  // RLIMIT_SIGPENDING bounds the queues; this bounds what one task can make the engine hold.
  constexpr size_t kMost = 1 << 20;
  std::vector<siginfo_t> signals;
  for (;;) {
    siginfo_t batch[kBatch];
    __ptrace_peeksiginfo_args arguments{};
    arguments.off = signals.size();
    arguments.flags = queue == SignalQueue::kShared ? PTRACE_PEEKSIGINFO_SHARED : 0;
    arguments.nr = kBatch;
    const long got =
        request(PTRACE_PEEKSIGINFO, tid, reinterpret_cast<uint64_t>(&arguments), batch);
    if (got < 0) return failed("PTRACE_PEEKSIGINFO", tid);
    signals.insert(signals.end(), batch, batch + got);
    if (got < kBatch) return signals;
    if (signals.size() > kMost) {
      return fail(ErrorKind::kRefused,
                  fmt::format("thread {} has more than {} pending signals", tid.value, kMost));
    }
  }
}

Result<siginfo_t> get_siginfo(Tid tid) {
  siginfo_t info;
  if (request(PTRACE_GETSIGINFO, tid, 0, &info) == 0) return info;
  return failed("PTRACE_GETSIGINFO", tid);
}

Result<void> set_siginfo(Tid tid, const siginfo_t& info) {
  if (request(PTRACE_SETSIGINFO, tid, 0, &info) == 0) return {};
  return failed("PTRACE_SETSIGINFO", tid);
}

Result<RseqConfig> get_rseq_config(Tid tid) {
  RseqConfiguration found{};
  const long got = request(kernel::kPtraceGetRseqConfiguration, tid, sizeof(found), &found);
  if (got < 0) {
    if (errno == EIO || errno == EINVAL) return RseqConfig{};
    return failed("PTRACE_GET_RSEQ_CONFIGURATION", tid);
  }
  return RseqConfig{found.rseq_abi_pointer, found.rseq_abi_size, found.signature, found.flags};
}

Result<std::optional<std::vector<uint64_t>>> get_seccomp_filter(Tid tid, unsigned index) {
  static_assert(sizeof(sock_filter) == sizeof(uint64_t));
  const long length = request(PTRACE_SECCOMP_GET_FILTER, tid, index, nullptr);
  // EINVAL: no filter mode; ENOENT: past the last one.
  if (length < 0 && (errno == ENOENT || errno == EINVAL))
    return std::optional<std::vector<uint64_t>>();
  if (length < 0) return failed("PTRACE_SECCOMP_GET_FILTER", tid);
  if (length > BPF_MAXINSNS)
    return fail(ErrorKind::kFailed,
                fmt::format("thread {} has a filter of {} instructions", tid.value, length));
  std::vector<uint64_t> filter(static_cast<size_t>(length));
  if (request(PTRACE_SECCOMP_GET_FILTER, tid, index, filter.data()) < 0) {
    return failed("PTRACE_SECCOMP_GET_FILTER", tid);
  }
  return std::optional(std::move(filter));
}

Result<bool> has_syscall_user_dispatch(Tid tid) {
  UserDispatchConfig config{};
  if (request(kernel::kPtraceGetSyscallUserDispatchConfig, tid, sizeof(config), &config) == 0) {
    return config.mode != 0;
  }
  if (errno == EIO || errno == EINVAL) return false;
  return failed("PTRACE_GET_SYSCALL_USER_DISPATCH_CONFIG", tid);
}

Result<std::optional<WaitStatus>> poll(Tid tid) {
  for (;;) {
    int status = 0;
    const pid_t got = waitpid(tid.value, &status, __WALL | WNOHANG);
    if (got == tid.value) return std::optional(WaitStatus(status));
    if (got == 0) return std::optional<WaitStatus>();
    if (errno == EINTR) continue;
    if (errno == ECHILD) {
      return fail(ErrorKind::kTargetGone, fmt::format("thread {} is gone", tid.value));
    }
    return failed("wait for", tid);
  }
}

Result<WaitStatus> wait(Tid tid, const Deadline& deadline, const StopRequest& stop) {
  // Yielding, for machines with one processor.
  for (const Deadline spin = Deadline::in(kSpinTime);; sched_yield()) {
    if (const auto now = TRY(poll(tid))) return *now;
    if (spin.expired()) break;
  }
  BlockedSigchld sigchld;
  for (;;) {
    // After blocking SIGCHLD and after each nap: no change can slip in between look and sleep.
    if (const auto now = TRY(poll(tid))) return *now;
    TRY(stop.check());
    if (deadline.expired()) {
      return fail(ErrorKind::kFailed,
                  fmt::format("timed out waiting for thread {} to stop", tid.value));
    }
    sigchld.wait_at_most(std::min<std::chrono::nanoseconds>(deadline.left(), kLongestNap));
  }
}

}  // namespace cryostat::ptrace
