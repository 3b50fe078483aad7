// Finds a `syscall` instruction to run remote system calls on, so that no code is ever patched.
#pragma once

#include <cstdint>
#include <optional>
#include <span>

namespace cryostat::arch {

inline constexpr uint64_t kSyscallInsnBytes = 2;  // 0f 05

// The offset of the first `syscall` (0f 05) in executable bytes: normally the target's whole vDSO,
// which has several as fallbacks of its clock functions. Jumping there runs it whatever surrounds
// it.
std::optional<uint64_t> find_syscall_insn(std::span<const unsigned char> code);

}  // namespace cryostat::arch
