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

}  // namespace cryostat::arch
