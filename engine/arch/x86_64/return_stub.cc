#include "engine/arch/x86_64/return_stub.h"

#include <sys/syscall.h>

#include <algorithm>
#include <csignal>
#include <cstring>
#include <initializer_list>

namespace cryostat::arch {
namespace {

constexpr size_t kMaskOffset = kReturnStubBytes - sizeof(uint64_t);

class Assembler {
 public:
  explicit Assembler(std::array<unsigned char, kReturnStubBytes>& out) : at_(out.data()) {}
  void code(std::initializer_list<unsigned char> bytes) {
    at_ = std::copy(bytes.begin(), bytes.end(), at_);
  }
  template <typename T>
  void immediate(T value) {
    std::memcpy(at_, &value, sizeof(value));
    at_ += sizeof(value);
  }
  // movabs $value, %register; `rex` and `opcode` name the register.
  void load(unsigned char rex, unsigned char opcode, uint64_t value) {
    code({rex, opcode});
    immediate(value);
  }

 private:
  unsigned char* at_;
};

}  // namespace

std::array<unsigned char, kReturnStubBytes> make_return_stub(uint64_t address,
                                                             const user_regs_struct& origin,
                                                             uint64_t signal_mask) {
  std::array<unsigned char, kReturnStubBytes> stub{};
  Assembler out(stub);
  out.code({0x0f, 0x05});  // syscall
  // rt_sigprocmask(SIG_SETMASK, mask, nullptr, 8). Only moves: they leave the flags alone.
  out.code({0xb8});  // mov $…, %eax
  out.immediate<uint32_t>(SYS_rt_sigprocmask);
  out.code({0xbf});  // mov $…, %edi
  out.immediate<uint32_t>(SIG_SETMASK);
  out.load(0x48, 0xbe, address + kMaskOffset);  // %rsi
  out.code({0xba});                             // mov $…, %edx
  out.immediate<uint32_t>(0);
  out.code({0x41, 0xba});  // mov $…, %r10d
  out.immediate<uint32_t>(sizeof(uint64_t));
  out.code({0x0f, 0x05});  // syscall
  out.load(0x48, 0xb8, origin.rax);
  out.load(0x48, 0xb9, origin.rcx);
  out.load(0x48, 0xba, origin.rdx);
  out.load(0x48, 0xbe, origin.rsi);
  out.load(0x48, 0xbf, origin.rdi);
  out.load(0x49, 0xb8, origin.r8);
  out.load(0x49, 0xb9, origin.r9);
  out.load(0x49, 0xba, origin.r10);
  out.load(0x49, 0xbb, origin.r11);
  out.code({0xff, 0x25});  // jmp *0(%rip)
  out.immediate<uint32_t>(0);
  out.immediate<uint64_t>(origin.rip);
  std::memcpy(stub.data() + kMaskOffset, &signal_mask, sizeof(signal_mask));
  return stub;
}

bool is_return_stub(std::span<const unsigned char> bytes) {
  // Up to the first byte that depends on the place or the thread.
  constexpr size_t kFixedBytes = 14;
  static const auto stub = make_return_stub(0, user_regs_struct{}, 0);
  return bytes.size() >= kReturnStubBytes &&
         std::equal(stub.begin(), stub.begin() + kFixedBytes, bytes.begin());
}

}  // namespace cryostat::arch
