#include "engine/arch/x86_64/syscall_insn.h"

#include <algorithm>
#include <iterator>

namespace cryostat::arch {

std::optional<uint64_t> find_syscall_insn(std::span<const unsigned char> code) {
  constexpr unsigned char kInsn[kSyscallInsnBytes] = {0x0f, 0x05};
  const auto found = std::search(code.begin(), code.end(), std::begin(kInsn), std::end(kInsn));
  if (found == code.end()) return std::nullopt;
  return static_cast<uint64_t>(found - code.begin());
}

bool forgets_arguments(std::span<const unsigned char, kCodeAfterSyscallBytes> code) {
  constexpr unsigned char kRet = 0xc3;
  constexpr unsigned char kCall = 0xe8;
  // musl, and glibc since 2.41: the instruction has a function of its own.
  if (code[0] == kRet) return true;
  // cmp $-4096,%rax; ja to where errno is set
  constexpr unsigned char kCheck[] = {0x48, 0x3d, 0x00, 0xf0, 0xff, 0xff, 0x77};
  if (!std::equal(std::begin(kCheck), std::end(kCheck), code.begin())) return false;
  const auto rest = code.subspan(std::size(kCheck) + 1);
  if (rest[0] == kRet) return true;
  // A program with threads ends its cancellation point: mov %r8d or %ebp,%edi; mov %eax to the
  // stack; call.
  size_t at = 0;
  if (rest[0] == 0x44 && rest[1] == 0x89 && rest[2] == 0xc7) {
    at = 3;
  } else if (rest[0] == 0x89 && rest[1] == 0xef) {
    at = 2;
  }
  constexpr unsigned char kToStack[] = {0x89, 0x44, 0x24};
  if (at == 0 || !std::equal(std::begin(kToStack), std::end(kToStack), rest.begin() + at))
    return false;
  at += std::size(kToStack) + 1;
  return at < rest.size() && rest[at] == kCall;
}

}  // namespace cryostat::arch
