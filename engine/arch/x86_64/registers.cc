#include "engine/arch/x86_64/registers.h"

#include <fmt/format.h>

#include <cstring>

namespace cryostat::arch {

std::string registers_to_bytes(const Registers& registers) {
  return std::string(reinterpret_cast<const char*>(&registers), sizeof(registers));
}

Result<Registers> registers_from_bytes(std::string_view bytes) {
  Registers registers;
  if (bytes.size() != sizeof(registers)) {
    return fail(ErrorKind::kFailed, fmt::format("general registers of {} bytes, {} expected",
                                                bytes.size(), sizeof(registers)));
  }
  std::memcpy(&registers, bytes.data(), sizeof(registers));
  return registers;
}

void prepare_system_call(Registers& registers, uint64_t insn_address, long number,
                         const std::array<uint64_t, 6>& arguments) {
  registers.rip = insn_address;
  registers.rax = static_cast<uint64_t>(number);
  registers.orig_rax = ~uint64_t{0};
  registers.rdi = arguments[0];
  registers.rsi = arguments[1];
  registers.rdx = arguments[2];
  registers.r10 = arguments[3];
  registers.r8 = arguments[4];
  registers.r9 = arguments[5];
}

}  // namespace cryostat::arch
