#include "engine/infect/remote_syscall.h"

#include <elf.h>
#include <fmt/format.h>
#include <sys/ptrace.h>

#include <algorithm>
#include <csignal>
#include <vector>

#include "engine/arch/x86_64/registers.h"
#include "engine/arch/x86_64/syscall_insn.h"
#include "engine/kernel/process_memory.h"
#include "engine/procfs/auxv.h"
#include "engine/procfs/maps.h"
#include "engine/procfs/task_handle.h"
#include "engine/ptrace/tracee.h"

namespace cryostat {
namespace {

constexpr uint64_t kMaxVdsoBytes = 16 * kPageSize;
// Of an executable mapping, when there is no vDSO (vdso=0 on the kernel's command line).
constexpr uint64_t kMaxSearchBytes = uint64_t{4} << 20;
constexpr uint64_t kTrapFlag = 0x100;
const StopRequest kNoStopRequest;

// Reads and searches page by page, up to `limit` bytes or the first unreadable page.
std::optional<RemoteAddr> search(HostPid pid, RemoteAddr start, uint64_t limit) {
  std::vector<unsigned char> page(kPageSize);
  for (uint64_t offset = 0; offset < limit; offset += kPageSize) {
    if (!kernel::read_memory(pid, start + offset, std::as_writable_bytes(std::span(page)))) break;
    if (const auto found = arch::find_syscall_insn(page)) return start + offset + *found;
  }
  return std::nullopt;
}

// The thread's next system call stop; whatever else stops it in between goes on.
Result<void> run_to_syscall_stop(Tid tid, const Deadline& deadline) {
  int signal = 0;
  for (;;) {
    TRY(ptrace::resume(tid, PTRACE_SYSCALL, signal));
    const WaitStatus status = TRY(ptrace::wait(tid, deadline, kNoStopRequest));
    if (status.is(WaitStatus::Kind::kSyscallStop)) return {};
    if (status.ended()) {
      return fail(ErrorKind::kTargetGone,
                  fmt::format("thread {} {}", tid.value, status.describe()));
    }
    // Only SIGSTOP can't be blocked; it stops the group once the thread is let go.
    signal = status.is(WaitStatus::Kind::kSignalStop) ? status.signal() : 0;
    if (signal != 0 && signal != SIGSTOP) {
      return fail(ErrorKind::kFailed, fmt::format("thread {} {} in a remote system call", tid.value,
                                                  status.describe()));
    }
  }
}

}  // namespace

Result<RemoteAddr> find_remote_syscall_insn(const TaskHandle& task) {
  const auto auxv = TRY(procfs::parse_auxv(TRY(task.proc().read("auxv"))));
  if (const auto vdso = procfs::find_aux(auxv, AT_SYSINFO_EHDR)) {
    if (const auto found = search(task.pid(), RemoteAddr(*vdso), kMaxVdsoBytes)) return *found;
  }
  for (const auto& area : TRY(procfs::parse_maps(TRY(task.proc().read("maps"))))) {
    if (!area.executable || area.name == "[vsyscall]") continue;
    const uint64_t limit = std::min(area.end - area.start, kMaxSearchBytes);
    if (const auto found = search(task.pid(), RemoteAddr(area.start), limit)) return *found;
  }
  return fail(
      ErrorKind::kRefused,
      fmt::format("pid {} has neither a vDSO nor any other syscall instruction", task.pid().value));
}

Result<int64_t> remote_syscall(Tid tid, const user_regs_struct& base, RemoteAddr syscall_insn,
                               int64_t number, const std::array<uint64_t, 6>& arguments,
                               const Deadline& deadline) {
  user_regs_struct registers = base;
  arch::prepare_system_call(registers, syscall_insn.value, number, arguments);
  registers.eflags &= ~kTrapFlag;
  // In this order: a thread that is let go in between returns through the stub, which sets the
  // mask.
  TRY(ptrace::set_registers(tid, registers));
  TRY(ptrace::set_signal_mask(tid, ptrace::kAllSignals));
  TRY(run_to_syscall_stop(tid, deadline));
  TRY(run_to_syscall_stop(tid, deadline));
  return static_cast<int64_t>(TRY(ptrace::get_registers(tid)).rax);
}

}  // namespace cryostat
