#include "engine/infect/blob_thread.h"

#include <fmt/format.h>
#include <sys/ptrace.h>

#include "engine/kernel/process_memory.h"
#include "engine/ptrace/seized_task.h"
#include "engine/ptrace/tracee.h"

namespace cryostat {
namespace {

using Kind = WaitStatus::Kind;

// Left unblocked: forcing a blocked signal on a thread resets its action (force_sig_info_to_task()
// in kernel/signal.c), and a parasite that faults must not cost the target its handler.
constexpr uint64_t kFaults = ptrace::signal_bit(SIGSEGV) | ptrace::signal_bit(SIGBUS);
constexpr uint64_t kInterruptFlag = 0x202;  // IF and the bit that is always one
constexpr std::chrono::seconds kBreakOffTimeout(5);
const StopRequest kNoStopRequest;

// Entered by a jump: as if called, with a return address slot nobody reads.
user_regs_struct entry_registers(const user_regs_struct& saved, const BlobRun& run) {
  user_regs_struct registers = saved;
  registers.rip = run.entry.value;
  registers.rdi = run.argument.value;
  registers.rsp = run.stack_top.value - sizeof(uint64_t);
  registers.rbp = 0;
  registers.eflags = kInterruptFlag;
  registers.orig_rax = ~uint64_t{0};
  return registers;
}

}  // namespace

Result<void> BlobThread::start(const BlobRun& run) {
  const Tid tid = thread_->tid;
  // In this order, and the other way round in restore(): if the engine dies in between, the
  // parasite runs and puts the mask back, never the target with the parasite's mask.
  TRY(ptrace::set_registers(tid, entry_registers(thread_->registers, run)));
  TRY(ptrace::set_signal_mask(tid, ~(ptrace::signal_bit(run.stop_signal) | kFaults)));
  return ptrace::resume(tid, PTRACE_CONT);
}

Result<void> BlobThread::finish(const BlobRun& run, const Deadline& deadline,
                                const StopRequest& stop) {
  const Tid tid = thread_->tid;
  for (;;) {
    auto waited = ptrace::wait(tid, deadline, stop);
    if (!waited.has_value()) {
      if (waited.error().kind() == ErrorKind::kTargetGone) return tl::unexpected(waited.error());
      TRY(break_off());
      return tl::unexpected(std::move(waited).error().in("the parasite was broken off"));
    }
    if (waited->ended()) {
      return fail(ErrorKind::kTargetGone,
                  fmt::format("thread {} {}", tid.value, waited->describe()));
    }
    int signal = 0;
    if (waited->is(Kind::kSignalStop)) {
      const auto handled = TRY(handle_signal(run, waited->signal()));
      if (!handled.has_value()) return {};
      signal = *handled;
    }
    // Everything else is a change of the group's stop state, seen in passing.
    TRY(ptrace::resume(tid, PTRACE_CONT, signal));
  }
}

// nullopt: the parasite is done; else the signal to go on with.
Result<std::optional<int>> BlobThread::handle_signal(const BlobRun& run, int signal) {
  const Tid tid = thread_->tid;
  if (signal == SIGSTOP) return std::optional(SIGSTOP);
  const siginfo_t info = TRY(ptrace::get_siginfo(tid));
  if (signal == run.stop_signal) {
    if (TRY(kernel::read_object<uint32_t>(pid_, run.done)) != 0) return std::optional<int>();
    // From elsewhere. Not blocked by the thread itself, it would have been ignored.
    if ((thread_->signal_mask & ptrace::signal_bit(signal)) != 0) foreign_ = info;
    return std::optional(0);
  }
  const auto registers = TRY(ptrace::get_registers(tid));
  // Sent, or a fault the thread itself took just before the freeze (nothing of the parasite ran
  // yet): a signal that is found blocked now goes back to its queue.
  if (info.si_code <= 0 || registers.rip == run.entry.value) {
    const uint64_t mask = TRY(ptrace::get_signal_mask(tid));
    TRY(ptrace::set_signal_mask(tid, mask | ptrace::signal_bit(signal)));
    return std::optional(signal);
  }
  return fail(
      ErrorKind::kFailed,
      fmt::format("the parasite in thread {} got {} at {:#x} (entry {:#x}), address {}", tid.value,
                  signal_name(signal), registers.rip, run.entry.value, fmt::ptr(info.si_addr)));
}

Result<void> BlobThread::break_off() {
  const Tid tid = thread_->tid;
  TRY(ptrace::interrupt(tid));
  const Deadline deadline = Deadline::in(kBreakOffTimeout);
  const WaitStatus status = TRY(ptrace::wait(tid, deadline, kNoStopRequest));
  if (!status.ended()) return {};
  return fail(ErrorKind::kTargetGone, fmt::format("thread {} {}", tid.value, status.describe()));
}

Result<void> BlobThread::restore() {
  TRY(requeue_foreign());
  TRY(ptrace::set_signal_mask(thread_->tid, thread_->signal_mask));
  return ptrace::set_registers(thread_->tid, thread_->registers);
}

// With the thread in the signal-delivery-stop of the parasite's own signal: that one becomes the
// foreign one, is found blocked and goes to the queue.
Result<void> BlobThread::requeue_foreign() {
  if (!foreign_.has_value()) return {};
  const Tid tid = thread_->tid;
  TRY(ptrace::set_signal_mask(tid, ptrace::kAllSignals));
  TRY(ptrace::set_siginfo(tid, *foreign_));
  TRY(ptrace::interrupt(tid));
  TRY(ptrace::resume(tid, PTRACE_CONT, foreign_->si_signo));
  foreign_.reset();
  const WaitStatus status = TRY(ptrace::wait(tid, Deadline::in(kBreakOffTimeout), kNoStopRequest));
  if (!status.ended()) return {};
  return fail(ErrorKind::kTargetGone, fmt::format("thread {} {}", tid.value, status.describe()));
}

}  // namespace cryostat
