#include "engine/ptrace/wait_status.h"

#include <fmt/format.h>
#include <sys/ptrace.h>
#include <sys/wait.h>

#include <csignal>
#include <cstring>

namespace cryostat {
namespace {

// PTRACE_O_TRACESYSGOOD marks system call stops with this bit.
constexpr int kSyscallBit = 0x80;

WaitStatus::Kind kind_of(int raw) {
  if (WIFEXITED(raw)) return WaitStatus::Kind::kExited;
  if (WIFSIGNALED(raw)) return WaitStatus::Kind::kKilled;
  const int event = raw >> 16;
  if (event == PTRACE_EVENT_STOP) {
    return WSTOPSIG(raw) == SIGTRAP ? WaitStatus::Kind::kInterrupted : WaitStatus::Kind::kGroupStop;
  }
  if (event != 0) return WaitStatus::Kind::kEvent;
  return WSTOPSIG(raw) == (SIGTRAP | kSyscallBit) ? WaitStatus::Kind::kSyscallStop
                                                  : WaitStatus::Kind::kSignalStop;
}

}  // namespace

WaitStatus::WaitStatus(int raw) : raw_(raw), kind_(kind_of(raw)) {
  if (kind_ == Kind::kExited) {
    signal_ = WEXITSTATUS(raw);
  } else {
    signal_ = kind_ == Kind::kKilled ? WTERMSIG(raw) : WSTOPSIG(raw) & ~kSyscallBit;
  }
}

std::string WaitStatus::describe() const {
  switch (kind_) {
    case Kind::kExited:
      return fmt::format("exited with status {}", signal_);
    case Kind::kKilled:
      return fmt::format("was killed by {}", signal_name(signal_));
    case Kind::kSignalStop:
      return fmt::format("stopped on {}", signal_name(signal_));
    case Kind::kGroupStop:
      return fmt::format("is in a job-control stop by {}", signal_name(signal_));
    case Kind::kInterrupted:
      return "is stopped by its tracer";
    case Kind::kSyscallStop:
      return "stopped at a system call";
    case Kind::kEvent:
      return fmt::format("stopped with ptrace event {}", event());
  }
  return "is in an unknown state";
}

std::string signal_name(int signal) {
  const char* name = sigabbrev_np(signal);
  return name != nullptr ? fmt::format("SIG{}", name) : fmt::format("signal {}", signal);
}

}  // namespace cryostat
