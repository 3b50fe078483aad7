#include "engine/infect/thread_origin.h"

#include <algorithm>
#include <cerrno>

#include "engine/arch/x86_64/registers.h"
#include "engine/arch/x86_64/syscall_insn.h"
#include "engine/arch/x86_64/xstate.h"
#include "engine/ptrace/seized_task.h"

namespace cryostat {
namespace {

constexpr uint64_t kAmxComponents = uint64_t{3} << 17;  // XTILECFG, XTILEDATA

// do_signal() in arch/x86/kernel/signal.c, for a thread that no handler runs in.
void restart_system_call(user_regs_struct& registers) {
  if (!arch::in_system_call(registers)) return;
  switch (-static_cast<int64_t>(registers.rax)) {
    case arch::kErestartSys:
    case arch::kErestartNoIntr:
    case arch::kErestartNoHand:
      registers.rax = registers.orig_rax;
      registers.rip -= arch::kSyscallInsnBytes;
      break;
    case arch::kErestartBlock:
      registers.rax = static_cast<uint64_t>(-EINTR);
      break;
    default:
      break;
  }
}

}  // namespace

user_regs_struct resumed_registers(const SavedThread& thread) {
  user_regs_struct registers = thread.registers;
  restart_system_call(registers);
  return registers;
}

wire::ThreadOrigin make_thread_origin(const SavedThread& thread) {
  const user_regs_struct registers = resumed_registers(thread);
  wire::ThreadOrigin origin{};
  origin.r15 = registers.r15;
  origin.r14 = registers.r14;
  origin.r13 = registers.r13;
  origin.r12 = registers.r12;
  origin.rbp = registers.rbp;
  origin.rbx = registers.rbx;
  origin.r11 = registers.r11;
  origin.r10 = registers.r10;
  origin.r9 = registers.r9;
  origin.r8 = registers.r8;
  origin.rax = registers.rax;
  origin.rcx = registers.rcx;
  origin.rdx = registers.rdx;
  origin.rsi = registers.rsi;
  origin.rdi = registers.rdi;
  origin.rip = registers.rip;
  origin.rflags = registers.eflags;
  origin.rsp = registers.rsp;
  origin.cs = static_cast<uint16_t>(registers.cs);
  origin.ss = static_cast<uint16_t>(registers.ss);
  origin.signal_mask = thread.signal_mask;
  return origin;
}

namespace {
wire::XsaveLayout ask_processor() {
  wire::XsaveLayout layout{};
  layout.features = arch::this_xcr0() & ~kAmxComponents;
  layout.size_bytes = arch::kXstateMinBytes;
  for (const auto& component : arch::this_xstate_layout(layout.features)) {
    layout.size_bytes = std::max(layout.size_bytes, component.offset_bytes + component.size_bytes);
  }
  return layout;
}
}  // namespace

wire::XsaveLayout this_xsave_layout() {
  // CPUID is slow in a virtual machine: it traps.
  static const wire::XsaveLayout layout = ask_processor();
  return layout;
}

}  // namespace cryostat
