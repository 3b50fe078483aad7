// What a child does that watches its own registers while it is infected.
#pragma once

#include <cstdint>

#include "tests/support/child.h"

namespace cryostat::testing {

// Values in every register class that a wrong cure would change; counts rounds in word 0 and
// differences in word 1.
inline int watch_registers(SharedWords& words) {
  for (;;) {
    uint64_t rbx = 1, r12 = 2, xmm = 0;
    asm volatile(
        "mov $0x1111, %%rbx\n\t mov $0x2222, %%r12\n\t mov $0x3333, %%r15\n\t"
        "movq %%r15, %%xmm7\n\t std\n\t"
        "mov $20000, %%ecx\n\t 1: dec %%ecx\n\t jnz 1b\n\t"
        "pushfq\n\t pop %%rax\n\t cld\n\t test $0x400, %%eax\n\t jnz 2f\n\t mov $0, %%ebx\n\t 2:"
        "mov %%rbx, %0\n\t mov %%r12, %1\n\t movq %%xmm7, %2"
        : "=r"(rbx), "=r"(r12), "=r"(xmm)
        :
        : "rax", "rbx", "rcx", "r12", "r15", "xmm7", "memory", "cc");
    if (rbx != 0x1111 || r12 != 0x2222 || xmm != 0x3333) ++words.word[1];
    ++words.word[0];
  }
}

}  // namespace cryostat::testing
