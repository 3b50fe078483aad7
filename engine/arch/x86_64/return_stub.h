// A few instructions that make one system call and then return to what a thread was doing.
#pragma once

#include <sys/user.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

namespace cryostat::arch {

inline constexpr size_t kReturnStubBytes = 152;

// Code for `address`: `syscall` (of whatever the registers say), then sets the signal mask to
// `signal_mask` and all registers a system call changes to those of `origin`, and jumps to its rip.
// Uses no stack. rbx, rbp, rsp, r12-r15 and the flags must be those of `origin` on entry.
std::array<unsigned char, kReturnStubBytes> make_return_stub(uint64_t address,
                                                             const user_regs_struct& origin,
                                                             uint64_t signal_mask);

// True when `bytes` begin like a return stub.
bool is_return_stub(std::span<const unsigned char> bytes);

}  // namespace cryostat::arch
