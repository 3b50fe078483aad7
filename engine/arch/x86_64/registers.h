// The general registers of a thread as ptrace shows them, and the system call ABI on them.
#pragma once

#include <sys/user.h>

#include <array>
#include <cstdint>
#include <string>
#include <string_view>

#include "engine/base/error.h"

namespace cryostat::arch {

using Registers = user_regs_struct;
static_assert(sizeof(Registers) == 27 * 8);

// The bytes as the image holds them (NT_PRSTATUS register set).
std::string registers_to_bytes(const Registers& registers);
// kFailed when there are not exactly 216 bytes.
Result<Registers> registers_from_bytes(std::string_view bytes);

// True when the registers are those of 64-bit user code (cs of __USER_CS).
inline bool is_64bit_code(const Registers& registers) { return registers.cs == 0x33; }

// The thread is stopped on the way out of a system call (orig_rax holds its number).
inline bool in_system_call(const Registers& registers) {
  return static_cast<int64_t>(registers.orig_rax) >= 0;
}
inline std::array<uint64_t, 6> system_call_arguments(const Registers& registers) {
  return {registers.rdi, registers.rsi, registers.rdx, registers.r10, registers.r8, registers.r9};
}
// Sets number and arguments and points rip at a `syscall` instruction. orig_rax becomes -1, so the
// kernel doesn't take the stop for an interrupted call and change rax or rip on the way back.
void prepare_system_call(Registers& registers, uint64_t insn_address, long number,
                         const std::array<uint64_t, 6>& arguments);

// In-kernel results a ptrace stop shows in rax before the call is restarted (linux/errno.h).
inline constexpr int64_t kErestartSys = 512;
inline constexpr int64_t kErestartNoIntr = 513;
inline constexpr int64_t kErestartNoHand = 514;
inline constexpr int64_t kErestartBlock = 516;

}  // namespace cryostat::arch
