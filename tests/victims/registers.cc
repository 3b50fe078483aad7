// Every register a program can see keeps its value while a thread spins in a tight loop without
// system calls: general registers, flags, x87, SSE, AVX, AVX-512, MXCSR, fs and gs base.
#include <asm/prctl.h>
#include <cpuid.h>
#include <immintrin.h>
#include <pthread.h>
#include <sys/syscall.h>

#include <atomic>
#include <cstdint>

#include "tests/victims/victim.h"

namespace {

std::atomic<uint32_t> stop{0};
std::atomic<int> started{0};

// Fills the callee-visible general registers, spins on *stop, compares. Returns a mask of the wrong
// ones.
uint64_t spin_general(std::atomic<uint32_t>* flag) {
  uint64_t wrong = 0;
  asm volatile(
      "lea -128(%%rsp), %%rsp\n push %%rbp\n push %%rbx\n"
      "mov $0x1111111111111111, %%rbx\n mov $0x2222222222222222, %%rcx\n"
      "mov $0x3333333333333333, %%rdx\n mov $0x4444444444444444, %%rsi\n"
      "mov $0x5555555555555555, %%rbp\n mov $0x6666666666666666, %%r8\n"
      "mov $0x7777777777777777, %%r9\n mov $0x8888888888888888, %%r10\n"
      "mov $0x9999999999999999, %%r11\n mov $0xaaaaaaaaaaaaaaaa, %%r12\n"
      "mov $0xbbbbbbbbbbbbbbbb, %%r13\n mov $0xcccccccccccccccc, %%r14\n"
      "mov $0xdddddddddddddddd, %%r15\n"
      "std\n"
      "1: pause\n cmpl $0, (%%rdi)\n je 1b\n"
      "pushfq\n cld\n popq %%rax\n and $0x400, %%rax\n xor $0x400, %%rax\n"
#define CHECK_REGISTER(reg, value, bit)                    \
  "push %%r15\n mov $" value ", %%r15\n cmp %%r15, %%" reg \
  "\n pop %%r15\n"                                         \
  "je 2f\n or $" bit ", %%rax\n 2:\n"
      CHECK_REGISTER("rbx", "0x1111111111111111", "0x1")
      CHECK_REGISTER("rcx", "0x2222222222222222", "0x2")
      CHECK_REGISTER("rdx", "0x3333333333333333", "0x4")
      CHECK_REGISTER("rsi", "0x4444444444444444", "0x8")
      CHECK_REGISTER("rbp", "0x5555555555555555", "0x10")
      CHECK_REGISTER("r8", "0x6666666666666666", "0x20")
      CHECK_REGISTER("r9", "0x7777777777777777", "0x40")
      CHECK_REGISTER("r10", "0x8888888888888888", "0x80")
      CHECK_REGISTER("r11", "0x9999999999999999", "0x100")
      CHECK_REGISTER("r12", "0xaaaaaaaaaaaaaaaa", "0x200")
      CHECK_REGISTER("r13", "0xbbbbbbbbbbbbbbbb", "0x800")
      CHECK_REGISTER("r14", "0xcccccccccccccccc", "0x1000")
      "push %%r14\n mov $0xdddddddddddddddd, %%r14\n cmp %%r14, %%r15\n pop %%r14\n"
      "je 3f\n or $0x2000, %%rax\n 3:\n"
      "pop %%rbx\n pop %%rbp\n lea 128(%%rsp), %%rsp\n"
      : "=a"(wrong)
      : "D"(flag)
      : "rcx", "rdx", "rsi", "r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15", "cc", "memory");
  return wrong;
}

void* general_thread(void*) {
  ++started;
  return reinterpret_cast<void*>(spin_general(&stop));
}

struct alignas(64) Vectors {
  uint64_t words[32][8];
};
Vectors loaded, stored;
uint64_t masks_loaded[8], masks_stored[8];

__attribute__((target("avx512f,avx512bw"))) void spin_avx512() {
  asm volatile(
      ".irp "
      "n,0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30,31\n"
      "vmovdqu64 \\n*64(%0), %%zmm\\n\n .endr\n"
      ".irp n,1,2,3,4,5,6,7\n kmovq \\n*8(%2), %%k\\n\n .endr\n"
      "1: pause\n cmpl $0, (%4)\n je 1b\n"
      ".irp "
      "n,0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30,31\n"
      "vmovdqu64 %%zmm\\n, \\n*64(%1)\n .endr\n"
      ".irp n,1,2,3,4,5,6,7\n kmovq %%k\\n, \\n*8(%3)\n .endr\n"
      :
      : "r"(&loaded), "r"(&stored), "r"(masks_loaded), "r"(masks_stored), "r"(&stop)
      : "memory", "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7", "xmm8", "xmm9",
        "xmm10", "xmm11", "xmm12", "xmm13", "xmm14", "xmm15");
}

__attribute__((target("avx2"))) void spin_avx() {
  asm volatile(
      ".irp n,0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15\n vmovdqu \\n*64(%0), %%ymm\\n\n .endr\n"
      "1: pause\n cmpl $0, (%2)\n je 1b\n"
      ".irp n,0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15\n vmovdqu %%ymm\\n, \\n*64(%1)\n .endr\n"
      :
      : "r"(&loaded), "r"(&stored), "r"(&stop)
      : "memory", "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7", "xmm8", "xmm9",
        "xmm10", "xmm11", "xmm12", "xmm13", "xmm14", "xmm15");
}

int vector_words() {
  if (__builtin_cpu_supports("avx512bw")) return 8;
  return __builtin_cpu_supports("avx2") ? 4 : 0;
}

void* vector_thread(void*) {
  ++started;
  if (vector_words() == 8) spin_avx512();
  if (vector_words() == 4) spin_avx();
  return nullptr;
}

long double x87_out[6];
uint16_t x87_control = 0;
uint32_t mxcsr = 0;

void* x87_thread(void*) {
  ++started;
  uint16_t control = 0x0e7f;      // round to zero, double precision
  uint32_t sse_control = 0x7f80;  // round to zero
  asm volatile(
      "fninit\n fldcw %2\n ldmxcsr %4\n fld1\n fldpi\n fldl2e\n fldl2t\n fldlg2\n fldln2\n"
      "1: pause\n cmpl $0, (%5)\n je 1b\n"
      "fstpt (%0)\n fstpt 16(%0)\n fstpt 32(%0)\n fstpt 48(%0)\n fstpt 64(%0)\n fstpt 80(%0)\n"
      "fnstcw (%1)\n stmxcsr (%3)\n fninit\n"
      :
      : "r"(x87_out), "r"(&x87_control), "m"(control), "r"(&mxcsr), "m"(sse_control), "r"(&stop)
      : "memory");
  sse_control = 0x1f80;
  asm volatile("ldmxcsr %0" : : "m"(sse_control));
  return nullptr;
}

uint64_t gs_block[4] = {0xfeedface, 2, 3, 4};
uint64_t gs_base_seen = 0, gs_value_seen = 0, fs_base_same = 0;

void* base_thread(void*) {
  ++started;
  unsigned long fs_before = 0, fs_after = 0, gs = 0;
  syscall(SYS_arch_prctl, ARCH_SET_GS, gs_block);
  syscall(SYS_arch_prctl, ARCH_GET_FS, &fs_before);
  while (stop == 0) asm volatile("pause");
  uint64_t value = 0;
  asm volatile("mov %%gs:0, %0" : "=r"(value));
  syscall(SYS_arch_prctl, ARCH_GET_GS, &gs);
  syscall(SYS_arch_prctl, ARCH_GET_FS, &fs_after);
  gs_base_seen = gs;
  gs_value_seen = value;
  fs_base_same = fs_before == fs_after;
  return nullptr;
}

}  // namespace

int main(int argc, char** argv) {
  victim::Victim self(argc, argv);
  victim::Pattern::fill(&loaded, sizeof(loaded), 5);
  victim::Pattern::fill(masks_loaded, sizeof(masks_loaded), 6);
  pthread_t threads[4];
  void* (*bodies[4])(void*) = {general_thread, vector_thread, x87_thread, base_thread};
  for (int i = 0; i < 4; ++i)
    self.must(pthread_create(&threads[i], nullptr, bodies[i], nullptr) == 0, "thread");
  while (started != 4) victim::Victim::pause_ms(1);
  self.ready_and_wait();
  stop = 1;
  void* wrong = nullptr;
  pthread_join(threads[0], &wrong);
  self.expect_equal("wrong general registers (mask)", 0, reinterpret_cast<long long>(wrong));
  for (int i = 1; i < 4; ++i) pthread_join(threads[i], nullptr);

  const int words = vector_words();
  for (int i = 0; i < (words == 8 ? 32 : 16); ++i)
    self.expect(memcmp(loaded.words[i], stored.words[i], static_cast<size_t>(words) * 8) == 0,
                "vector register %d changed", i);
  if (words == 8)
    for (int i = 1; i < 8; ++i)
      self.expect(masks_loaded[i] == masks_stored[i], "mask register %d changed", i);

  long double expected[6];
  uint16_t control = 0x0e7f;
  asm volatile(
      "fninit\n fldcw %1\n fld1\n fldpi\n fldl2e\n fldl2t\n fldlg2\n fldln2\n"
      "fstpt (%0)\n fstpt 16(%0)\n fstpt 32(%0)\n fstpt 48(%0)\n fstpt 64(%0)\n fstpt 80(%0)\n "
      "fninit"
      :
      : "r"(expected), "m"(control)
      : "memory");
  for (int i = 0; i < 6; ++i)
    self.expect(memcmp(&expected[i], &x87_out[i], 10) == 0, "x87 register %d changed", i);
  self.expect_equal("x87 control word", 0x0e7f, x87_control);
  self.expect_equal("MXCSR control", 0x7f80, mxcsr & ~0x3f);
  self.expect(gs_base_seen == reinterpret_cast<uint64_t>(gs_block), "gs base moved");
  self.expect(gs_value_seen == 0xfeedface, "gs:0 reads something else");
  self.expect(fs_base_same == 1, "fs base moved");
  return self.finish();
}
