#include "engine/infect/stop_signal.h"

#include <array>
#include <csignal>

#include "engine/ptrace/tracee.h"

namespace cryostat {
namespace {

// Ignored by default, in order of preference.
constexpr std::array kIgnoredByDefault = {SIGWINCH, SIGURG, SIGCHLD};
// Never: they stop, continue or kill whatever the action is, or are raised by faults.
constexpr uint64_t kUnfit =
    ptrace::signal_bit(SIGKILL) | ptrace::signal_bit(SIGSTOP) | ptrace::signal_bit(SIGTSTP) |
    ptrace::signal_bit(SIGTTIN) | ptrace::signal_bit(SIGTTOU) | ptrace::signal_bit(SIGCONT) |
    ptrace::signal_bit(SIGSEGV) | ptrace::signal_bit(SIGBUS) | ptrace::signal_bit(SIGILL) |
    ptrace::signal_bit(SIGFPE) | ptrace::signal_bit(SIGTRAP) | ptrace::signal_bit(SIGSYS);

// 0 when none of the task's ignored signals is in `allowed`.
int find_ignored(const procfs::Status& status, uint64_t allowed) {
  for (const int signal : kIgnoredByDefault) {
    const uint64_t bit = ptrace::signal_bit(signal);
    if ((status.caught & bit) == 0 && (allowed & bit) != 0) return signal;
  }
  for (int signal = 1; signal < SIGRTMIN; ++signal) {
    if ((status.ignored & allowed & ptrace::signal_bit(signal)) != 0) return signal;
  }
  return 0;
}

}  // namespace

int choose_stop_signal(const procfs::Status& status) {
  // One that is queued already could not be queued a second time.
  const uint64_t fit = ~(kUnfit | status.pending | status.shared_pending);
  if (const int signal = find_ignored(status, fit & ~status.blocked)) return signal;
  if (const int signal = find_ignored(status, fit)) return signal;
  return SIGURG;
}

}  // namespace cryostat
