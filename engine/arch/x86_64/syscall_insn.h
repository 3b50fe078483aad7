// Finds a `syscall` instruction to run remote system calls on, so that no code is ever patched.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

namespace cryostat::arch {

inline constexpr uint64_t kSyscallInsnBytes = 2;  // 0f 05

// The offset of the first `syscall` (0f 05) in executable bytes: normally the target's whole vDSO,
// which has several as fallbacks of its clock functions. Jumping there runs it whatever surrounds
// it.
std::optional<uint64_t> find_syscall_insn(std::span<const unsigned char> code);

inline constexpr size_t kCodeAfterSyscallBytes = 16;

// Whether the code after a `syscall` is known to look at no argument register of the call again: it
// returns to its caller or calls another function before, which by the System V ABI leaves them
// undefined. Knows the code of glibc's and musl's wrappers; false for any other.
bool forgets_arguments(std::span<const unsigned char, kCodeAfterSyscallBytes> code);

}  // namespace cryostat::arch
