#include "engine/restore/finish.h"

#include <errno.h>
#include <fmt/format.h>
#include <signal.h>
#include <sys/auxv.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstring>

#include "engine/arch/x86_64/syscall_insn.h"
#include "engine/base/span.h"
#include "engine/infect/remote_syscall.h"
#include "engine/kernel/process_memory.h"
#include "engine/ptrace/tracee.h"
#include "engine/restore/restart_block.h"
#include "engine/restore/stop_description.h"
#include "engine/task/timed_wait.h"
#include "proto/task.pb.h"
#include "proto/wire/restorer.h"

namespace cryostat::restore {
namespace {

constexpr int64_t kRestartBlock = -516;  // the kernel's ERESTART_RESTARTBLOCK

// Far more than any of the waits here takes: each is for a thread that is about to stop.
constexpr std::chrono::seconds kPatience(60);
const StopRequest kNoStopRequest;  // the stages look at the caller's in between

Result<WaitStatus> wait_for(Tid tid) {
  return ptrace::wait(tid, Deadline::in(kPatience), kNoStopRequest);
}

Failure stopped_otherwise(const char* doing, Tid tid, const WaitStatus& status) {
  return fail(ErrorKind::kFailed,
              fmt::format("{}: thread {} {}", doing, tid.value, describe_stop(tid, status)));
}

// One thread on its way to its old registers.
struct Finishing {
  Tid tid;
  const pb::Thread* image = nullptr;
  user_regs_struct registers{};
  uint64_t stack_top = 0;  // of its blob stack, free by now
  bool reissued = false;
};

Result<user_regs_struct> image_registers(const pb::Thread& thread) {
  user_regs_struct registers{};
  const std::string& general = thread.registers().general();
  if (general.size() != sizeof(registers)) {
    return fail(ErrorKind::kImages, fmt::format("thread {}: register set of {} bytes instead of {}",
                                                thread.tid(), general.size(), sizeof(registers)));
  }
  std::memcpy(&registers, general.data(), sizeof(registers));
  return registers;
}

Result<std::vector<Finishing>> start(const CreatedTask& task, const LaunchReport& launch,
                                     const std::vector<pb::Thread>& threads) {
  std::vector<wire::RestorerThread> planned(threads.size());
  TRY(kernel::read_memory(task.pid, RemoteAddr(launch.plan + launch.threads_offset),
                          std::as_writable_bytes(std::span(planned))));
  std::vector<Finishing> finishing(threads.size());
  for (size_t i = 0; i < threads.size(); ++i) {
    finishing[i].tid = Tid(threads[i].tid());
    finishing[i].image = &threads[i];
    finishing[i].registers = TRY(image_registers(threads[i]));
    const pb::InterruptedCall& call = threads[i].interrupted_call();
    if (call.kind() == pb::InterruptedCall::TIMED_WAIT)
      finishing[i].registers =
          task::wait_on(finishing[i].registers, static_cast<int64_t>(call.remaining_ns()));
    finishing[i].stack_top = planned[i].stack_top;
  }
  return finishing;
}

// The address of a `syscall` instruction in the restored task's vDSO: the same bytes as our own's.
Result<RemoteAddr> find_syscall_insn(const LaunchReport& launch) {
  const auto own = static_cast<uint64_t>(getauxval(AT_SYSINFO_EHDR));
  if (own == 0 || launch.vdso_start == 0) {
    return fail(ErrorKind::kMachine, "no vDSO: nothing to make the last system calls with");
  }
  const auto offset = arch::find_syscall_insn(
      {reinterpret_cast<const unsigned char*>(own), static_cast<size_t>(launch.vdso_size_bytes)});
  if (offset.has_value()) return RemoteAddr(launch.vdso_start + *offset);
  return fail(ErrorKind::kMachine, "no system call instruction in the vDSO");
}

// Puts a thread at the entry of its interrupted call, with the time that is left.
Result<void> begin_call(const CreatedTask& task, Finishing& thread, RemoteAddr syscall_insn) {
  const RemoteAddr timespec_at(thread.stack_top - 64);
  const auto again = reissue(thread.image->interrupted_call(), thread.registers, syscall_insn.value,
                             timespec_at.value);
  if (!again.has_value()) return {};
  if (again->uses_timespec) {
    TRY(kernel::write_memory(task.pid, std::as_bytes(std::span(again->timespec)), timespec_at));
  }
  TRY(ptrace::set_registers(thread.tid, again->registers));
  TRY(ptrace::resume(thread.tid, PTRACE_SYSCALL));
  thread.reissued = true;
  return {};
}

// Issues the interrupted calls again, all threads side by side, and leaves each thread interrupted
// in its call. The interrupt is ordered while the thread stands at the call's entry, so the call is
// broken off as soon as it would sleep: no time passes and nothing races.
Result<void> reissue_calls(const CreatedTask& task, std::vector<Finishing>& finishing,
                           RemoteAddr syscall_insn) {
  constexpr const char* kDoing = "issue an interrupted system call again";
  for (Finishing& thread : finishing) TRY(begin_call(task, thread, syscall_insn));
  for (const Finishing& thread : finishing) {
    if (!thread.reissued) continue;
    const WaitStatus entry = TRY(wait_for(thread.tid));
    if (!entry.is(WaitStatus::Kind::kSyscallStop)) {
      return stopped_otherwise(kDoing, thread.tid, entry);
    }
    TRY(ptrace::interrupt(thread.tid));
    TRY(ptrace::resume(thread.tid, PTRACE_CONT));
  }
  for (Finishing& thread : finishing) {
    if (!thread.reissued) continue;
    const WaitStatus status = TRY(wait_for(thread.tid));
    if (!status.is(WaitStatus::Kind::kInterrupted)) {
      return stopped_otherwise(kDoing, thread.tid, status);
    }
    const auto result = static_cast<int64_t>(TRY(ptrace::get_registers(thread.tid)).rax);
    thread.registers = after_reissue(thread.registers, result);
  }
  return {};
}

// A restart block that was not rebuilt must not be waited on: what the thread has is another's.
void settle_unknown_calls(std::vector<Finishing>& finishing) {
  for (Finishing& thread : finishing) {
    const bool wants_block = static_cast<int64_t>(thread.registers.orig_rax) >= 0 &&
                             static_cast<int64_t>(thread.registers.rax) == kRestartBlock;
    if (thread.reissued || !wants_block) continue;
    thread.registers.rax = static_cast<uint64_t>(-EINTR);
    thread.registers.orig_rax = static_cast<uint64_t>(-1);
  }
}

// SIGTRAP must not be ignored while the blob's threads stop with int3 (the kernel would reset its
// action), so an ignored SIGTRAP comes back here.
Result<void> ignore_sigtrap_if_wanted(const CreatedTask& task, const pb::Task& image,
                                      const Finishing& leader, RemoteAddr syscall_insn) {
  for (const pb::SignalAction& action : image.actions()) {
    if (action.number() != SIGTRAP || action.handler() != reinterpret_cast<uint64_t>(SIG_IGN))
      continue;
    const uint64_t kernel_action[4] = {action.handler(), action.flags(), action.restorer(),
                                       action.mask()};
    const RemoteAddr at(leader.stack_top - 64);
    TRY(kernel::write_memory(task.pid, std::as_bytes(std::span(kernel_action)), at));
    const int64_t result =
        TRY(remote_syscall(leader.tid, leader.registers, syscall_insn, SYS_rt_sigaction,
                           {SIGTRAP, at.value, 0, sizeof(uint64_t)}, Deadline::in(kPatience)));
    if (result < 0)
      return fail_errno(static_cast<int>(-result), "ignore SIGTRAP in the restored task");
  }
  return {};
}

// A child that was stopped for good measure has sent the task a SIGCHLD of its own; the signal that
// was pending at the dump, if any, is in the queue already and was not doubled (signal(7)).
Result<void> drop_child_signal(const CreatedTask& task, const pb::Task& image,
                               const Finishing& leader, RemoteAddr syscall_insn) {
  for (const pb::PendingSignal& pending : image.pending()) {
    siginfo_t info;
    std::memcpy(&info, pending.siginfo().data(), std::min(sizeof(info), pending.siginfo().size()));
    if (info.si_signo == SIGCHLD) return {};
  }
  struct {
    uint64_t signals;
    timespec no_time;
  } arguments = {ptrace::signal_bit(SIGCHLD), {0, 0}};
  const RemoteAddr at(leader.stack_top - 128);
  TRY(kernel::write_memory(task.pid, std::as_bytes(std::span(&arguments, 1)), at));
  const int64_t result = TRY(remote_syscall(
      leader.tid, leader.registers, syscall_insn, SYS_rt_sigtimedwait,
      {at.value, 0, at.value + offsetof(decltype(arguments), no_time), sizeof(arguments.signals)},
      Deadline::in(kPatience)));
  if (result >= 0 || result == -EAGAIN || result == -EINTR) return {};
  return fail_errno(static_cast<int>(-result), "take a SIGCHLD back");
}

// As the task itself had done it before the dump.
Result<void> collect_stops(const std::vector<pid_t>& children, const Finishing& leader,
                           RemoteAddr syscall_insn) {
  for (const pid_t child : children) {
    const int64_t result =
        TRY(remote_syscall(leader.tid, leader.registers, syscall_insn, SYS_waitid,
                           {P_PID, static_cast<uint64_t>(child), 0,
                            static_cast<uint64_t>(WSTOPPED | WNOHANG | __WALL), 0, 0},
                           Deadline::in(kPatience)));
    if (result < 0)
      return fail_errno(static_cast<int>(-result),
                        fmt::format("collect the stop of pid {}", child));
  }
  return {};
}

Result<void> unmap_area(const Finishing& leader, const LaunchReport& launch,
                        RemoteAddr syscall_insn) {
  const uint64_t size_bytes = launch.area_end - launch.area_start;
  const int64_t result =
      TRY(remote_syscall(leader.tid, leader.registers, syscall_insn, SYS_munmap,
                         {launch.area_start, size_bytes}, Deadline::in(kPatience)));
  if (result == 0) return {};
  return fail_errno(static_cast<int>(-result), "unmap the restorer area");
}

// At the end of a system call the kernel looks at restart codes only on its way through the signal
// code; a stop ordered there is on that way. No instruction of the program's is run.
Result<void> leave_call(Tid tid) {
  TRY(ptrace::interrupt(tid));
  for (;;) {
    TRY(ptrace::resume(tid, PTRACE_CONT));
    const WaitStatus status = TRY(wait_for(tid));
    if (status.is(WaitStatus::Kind::kInterrupted)) return {};
    if (status.ended()) return stopped_otherwise("leave the last call", tid, status);
  }
}

// The kernel takes exactly its own size. What a longer image has beyond is not in use here (the
// plan has compared XCR0); what a shorter one lacks is in its initial state.
void fit(const std::string& xstate, std::vector<unsigned char>& fitted) {
  const size_t common = std::min(xstate.size(), fitted.size());
  std::memcpy(fitted.data(), xstate.data(), common);
  std::fill(fitted.begin() + static_cast<ptrdiff_t>(common), fitted.end(), 0);
}

Result<void> set_final_state(const std::vector<Finishing>& finishing) {
  std::vector<unsigned char> fitted = TRY(ptrace::get_xstate(finishing[0].tid));
  for (const Finishing& thread : finishing) {
    fit(thread.image->registers().xstate(), fitted);
    TRY(ptrace::set_xstate(thread.tid, fitted));
    TRY(ptrace::set_registers(thread.tid, thread.registers));
    TRY(ptrace::set_signal_mask(thread.tid, thread.image->signal_mask()));
  }
  return {};
}

// Brings the leader into a group stop; every other thread then has the stop pending. The leader's
// signals stay blocked until then, or a pending one would come first.
Result<void> stop_leader(const CreatedTask& task, uint64_t leader_mask, int stop_signal) {
  const Tid leader(task.pid.value);
  // A signal put in a stopped signal's place is queued again when it is blocked.
  TRY(ptrace::set_signal_mask(leader, ~ptrace::signal_bit(stop_signal)));
  if (syscall(SYS_tgkill, task.pid.value, task.pid.value, SIGSTOP) != 0) {
    return fail_errno(fmt::format("send SIGSTOP to pid {}", task.pid.value));
  }
  TRY(ptrace::resume(leader, PTRACE_CONT));
  for (;;) {
    const WaitStatus status = TRY(wait_for(leader));
    if (status.is(WaitStatus::Kind::kGroupStop)) break;
    if (status.ended()) return stopped_otherwise("stop the restored task", leader, status);
    const bool ours = status.is(WaitStatus::Kind::kSignalStop) && status.signal() == SIGSTOP;
    TRY(ptrace::resume(leader, PTRACE_CONT, ours ? stop_signal : 0));
  }
  return ptrace::set_signal_mask(leader, leader_mask);
}

// The stop is complete, and reported to the parent, when every thread has joined it. A pending stop
// comes before any signal and before any instruction.
Result<void> join_stop(Tid tid) {
  TRY(ptrace::resume(tid, PTRACE_CONT));
  for (;;) {
    const WaitStatus status = TRY(wait_for(tid));
    if (status.is(WaitStatus::Kind::kGroupStop)) return {};
    if (status.ended()) return stopped_otherwise("stop a restored thread", tid, status);
    TRY(ptrace::resume(tid, PTRACE_CONT));
  }
}

// SIGTSTP, SIGTTIN and SIGTTOU stop nothing in an orphaned process group (setpgid(2)): a group
// with no parent in the same session but another group.
bool is_in_orphaned_group(HostPid pid, pid_t parent) {
  return getsid(pid.value) != getsid(parent) || getpgid(pid.value) == getpgid(parent);
}

// From here on the task survives the end of cr-restore. Done while no thread has run yet, so that a
// killed cr-restore leaves a task that never ran or all of one, not one that ran for a moment.
Result<void> drop_exitkill(Tid tid) {
  if (::ptrace(PTRACE_SETOPTIONS, tid.value, nullptr, 0) == 0 || errno == ESRCH) return {};
  return fail_errno(fmt::format("PTRACE_SETOPTIONS thread {}", tid.value));
}

// A thread that ended before its turn (the others have run for some microseconds already) is
// reaped: as long as its tracer has not waited for it, the end of the whole task is not reported to
// anyone.
Result<void> let_go(const CreatedTask& task, Tid tid) {
  const Result<void> detached = ptrace::resume(tid, PTRACE_DETACH);
  if (detached.has_value() || detached.error().errno_value() != ESRCH) return detached;
  // The leader's status is for whoever waits for the task; if that is us, later.
  if (tid.value == task.pid.value && task.own_child) return {};
  for (;;) {
    const Result<WaitStatus> status = wait_for(tid);
    if (!status.has_value() || status->ended()) return {};
  }
}

}  // namespace

int stop_signal_for(const CreatedTask& task, const pb::Task& image, pid_t parent) {
  const auto wanted = static_cast<int>(image.stop_signal());
  if (wanted != SIGTSTP && wanted != SIGTTIN && wanted != SIGTTOU) return SIGSTOP;
  for (const pb::SignalAction& action : image.actions()) {
    if (static_cast<int>(action.number()) == wanted && action.handler() != 0) return SIGSTOP;
  }
  return is_in_orphaned_group(task.pid, parent) ? SIGSTOP : wanted;
}

Result<void> finish_threads(const CreatedTask& task, const pb::Task& image,
                            const std::vector<pb::Thread>& threads, const ChildReports& children) {
  const LaunchReport& launch = task.launch;
  Span span("restore.finish");
  const RemoteAddr syscall_insn = TRY(find_syscall_insn(launch));
  std::vector<Finishing> finishing = TRY(start(task, launch, threads));
  TRY(reissue_calls(task, finishing, syscall_insn));
  settle_unknown_calls(finishing);
  TRY(ignore_sigtrap_if_wanted(task, image, finishing[0], syscall_insn));
  TRY(collect_stops(children.collected_stops, finishing[0], syscall_insn));
  if (children.signalled) TRY(drop_child_signal(task, image, finishing[0], syscall_insn));
  TRY(unmap_area(finishing[0], launch, syscall_insn));
  TRY(leave_call(finishing[0].tid));
  return set_final_state(finishing);
}

Result<void> stop_task(const CreatedTask& task, const std::vector<pb::Thread>& threads,
                       int stop_signal) {
  TRY(stop_leader(task, threads[0].signal_mask(), stop_signal));
  for (size_t i = 1; i < threads.size(); ++i) TRY(join_stop(Tid(threads[i].tid())));
  return {};
}

// The continuation is reported by the first thread that leaves the stop, just before it takes the
// signal, which is kept from it: it was taken before the dump.
Result<void> continue_task(const CreatedTask& task, const std::vector<pb::Thread>& threads) {
  const Tid leader(task.pid.value);
  TRY(ptrace::set_signal_mask(leader, ~ptrace::signal_bit(SIGCONT)));
  if (syscall(SYS_tgkill, task.pid.value, task.pid.value, SIGCONT) != 0)
    return fail_errno(fmt::format("send SIGCONT to pid {}", task.pid.value));
  for (bool taken = false;;) {
    TRY(ptrace::resume(leader, PTRACE_CONT));
    const WaitStatus status = TRY(wait_for(leader));
    if (status.ended()) return stopped_otherwise("continue the restored task", leader, status);
    if (status.is(WaitStatus::Kind::kSignalStop) && status.signal() == SIGCONT) {
      taken = true;
      TRY(ptrace::interrupt(leader));
    } else if (taken && status.is(WaitStatus::Kind::kInterrupted)) {
      break;
    }
  }
  return ptrace::set_signal_mask(leader, threads[0].signal_mask());
}

Result<void> outlive_restore(const std::vector<pb::Thread>& threads) {
  for (const pb::Thread& thread : threads) TRY(drop_exitkill(Tid(thread.tid())));
  return {};
}

Result<void> release(const CreatedTask& task, const std::vector<pb::Thread>& threads) {
  for (size_t i = threads.size(); i-- > 0;) TRY(let_go(task, Tid(threads[i].tid())));
  return {};
}

}  // namespace cryostat::restore
