// What waitpid(2) says about a tracee, decoded (ptrace(2), "Stopped states").
#pragma once

#include <cstdint>
#include <string>

namespace cryostat {

class WaitStatus {
 public:
  enum class Kind : uint8_t {
    kExited,       // exit_status()
    kKilled,       // by signal()
    kSignalStop,   // signal-delivery-stop: signal() was taken from the queue and is not delivered
                   // yet
    kGroupStop,    // job-control stop: signal() is what stopped the group
    kInterrupted,  // PTRACE_EVENT_STOP after PTRACE_INTERRUPT (or a change of the group's stop
                   // state)
    kSyscallStop,  // entry or exit of a system call
    kEvent,        // another PTRACE_EVENT_*: event()
  };

  explicit WaitStatus(int raw);
  Kind kind() const { return kind_; }
  bool is(Kind kind) const { return kind_ == kind; }
  // The thread no longer exists.
  bool ended() const { return kind_ == Kind::kExited || kind_ == Kind::kKilled; }
  int signal() const { return signal_; }
  int exit_status() const { return signal_; }
  int event() const { return raw_ >> 16; }
  // "exited with status 1", "was killed by SIGSEGV", "stopped on SIGUSR1", …
  std::string describe() const;

 private:
  int raw_;
  Kind kind_;
  int signal_;
};

// "SIGTERM" for 15, "signal 40" for those without a name.
std::string signal_name(int signal);

}  // namespace cryostat
