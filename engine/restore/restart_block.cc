#include "engine/restore/restart_block.h"

#include <errno.h>
#include <linux/futex.h>
#include <sys/syscall.h>

#include "proto/registers.pb.h"

namespace cryostat::restore {
namespace {

// Kernel-internal results (include/linux/errno.h of the kernel), seen only by tracers.
constexpr int64_t kRestartSys = -512;
constexpr int64_t kRestartNoHandler = -514;
constexpr int64_t kRestartBlock = -516;
constexpr uint64_t kNsPerSecond = 1'000'000'000;
constexpr uint64_t kNsPerMs = 1'000'000;
constexpr uint64_t kPollMaxMs = 0x7fffffff;

void set_argument(user_regs_struct& registers, int index, uint64_t value) {
  switch (index) {
    case 0:
      registers.rdi = value;
      break;
    case 1:
      registers.rsi = value;
      break;
    case 2:
      registers.rdx = value;
      break;
    case 3:
      registers.r10 = value;
      break;
    case 4:
      registers.r8 = value;
      break;
    default:
      registers.r9 = value;
      break;
  }
}

// Which argument holds the pointer to the relative time; -1: none.
int timespec_argument(uint64_t number) {
  switch (number) {
    case SYS_nanosleep:
      return 0;
    case SYS_clock_nanosleep:
      return 2;
    case SYS_futex:
      return 3;
    default:
      return -1;
  }
}

bool is_known(const pb::InterruptedCall& call) {
  return call.kind() == pb::InterruptedCall::NANOSLEEP ||
         call.kind() == pb::InterruptedCall::POLL || call.kind() == pb::InterruptedCall::FUTEX;
}

}  // namespace

std::optional<ReissuedCall> reissue(const pb::InterruptedCall& call,
                                    const user_regs_struct& original, uint64_t syscall_insn,
                                    uint64_t timespec_at) {
  if (!is_known(call) || call.args_size() < 6) return std::nullopt;
  ReissuedCall again;
  again.registers = original;
  again.registers.rip = syscall_insn;
  again.registers.rax = call.number();
  // Not inside a system call yet: the kernel must not try to restart one.
  again.registers.orig_rax = static_cast<uint64_t>(-1);
  for (int i = 0; i < 6; ++i) set_argument(again.registers, i, call.args(i));
  if (call.absolute()) return again;
  if (call.number() == SYS_poll) {
    const uint64_t left_ms = (call.remaining_ns() + kNsPerMs - 1) / kNsPerMs;
    set_argument(again.registers, 2, std::min(left_ms, kPollMaxMs));
    return again;
  }
  const int argument = timespec_argument(call.number());
  if (argument < 0) return std::nullopt;
  again.uses_timespec = true;
  again.timespec[0] = call.remaining_ns() / kNsPerSecond;
  again.timespec[1] = call.remaining_ns() % kNsPerSecond;
  set_argument(again.registers, argument, timespec_at);
  return again;
}

user_regs_struct after_reissue(const user_regs_struct& original, int64_t result) {
  user_regs_struct registers = original;
  const bool restarts = result <= kRestartSys && result >= kRestartBlock;
  if (restarts) {
    // orig_rax stays: any number that is not -1 makes the kernel look at rax.
    registers.rax =
        static_cast<uint64_t>(result == kRestartBlock ? kRestartBlock : kRestartNoHandler);
  } else {
    // It ended at once; this is what the program sees.
    registers.rax = static_cast<uint64_t>(result);
    registers.orig_rax = static_cast<uint64_t>(-1);
  }
  return registers;
}

}  // namespace cryostat::restore
