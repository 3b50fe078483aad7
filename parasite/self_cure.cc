#include "parasite/self_cure.h"

#include <sys/syscall.h>

#include <cstdint>

#include "engine/kernel/raw_syscall.h"

namespace cryostat::parasite {
namespace {

// The signal frame rt_sigreturn(2) reads, as arch/x86 lays it out (asm/ucontext.h,
// asm/sigcontext.h).
struct SignalContext {
  uint64_t r8, r9, r10, r11, r12, r13, r14, r15;
  uint64_t rdi, rsi, rbp, rbx, rdx, rax, rcx, rsp, rip, rflags;
  uint16_t cs, gs, fs, ss;
  uint64_t error, trap, old_mask, fault_address;
  uint64_t xsave_address;
  uint64_t reserved[8];
};
static_assert(sizeof(SignalContext) == 256);

struct AlternateStack {
  uint64_t address;
  int32_t flags;
  uint32_t padding;
  uint64_t size_bytes;
};

struct UserContext {
  uint64_t flags;
  uint64_t link;
  AlternateStack stack;
  SignalContext context;
  uint64_t signal_mask;
};
static_assert(sizeof(UserContext) == 304);

// struct _fpx_sw_bytes, in the software-usable bytes of the legacy region.
struct XsaveNote {
  uint32_t magic;
  uint32_t extended_size;
  uint64_t features;
  uint32_t xstate_size;
  uint32_t padding[7];
};
static_assert(sizeof(XsaveNote) == 48);

constexpr uint64_t kFpXstate = 1;         // UC_FP_XSTATE
constexpr uint64_t kSigcontextSs = 2;     // UC_SIGCONTEXT_SS
constexpr uint64_t kStrictRestoreSs = 4;  // UC_STRICT_RESTORE_SS
constexpr uint32_t kXstateMagic1 = 0x46505853;
constexpr uint32_t kXstateMagic2 = 0x46505845;
constexpr size_t kXsaveOffset = 512;  // in the frame; behind the UserContext, 64-byte aligned
constexpr size_t kNoteOffset = 464;   // in the XSAVE area

void fill_context(SignalContext& to, const wire::ThreadOrigin& from) {
  to.r8 = from.r8;
  to.r9 = from.r9;
  to.r10 = from.r10;
  to.r11 = from.r11;
  to.r12 = from.r12;
  to.r13 = from.r13;
  to.r14 = from.r14;
  to.r15 = from.r15;
  to.rdi = from.rdi;
  to.rsi = from.rsi;
  to.rbp = from.rbp;
  to.rbx = from.rbx;
  to.rdx = from.rdx;
  to.rax = from.rax;
  to.rcx = from.rcx;
  to.rsp = from.rsp;
  to.rip = from.rip;
  to.rflags = from.rflags;
  to.cs = from.cs;
  to.ss = from.ss;
}

}  // namespace

void prepare_frame(unsigned char* frame, const wire::ThreadOrigin& origin,
                   const wire::XsaveLayout& xsave) {
  if (xsave.size_bytes > wire::kSignalFrameBytes - kXsaveOffset - sizeof(kXstateMagic2)) return;
  unsigned char* const area = frame + kXsaveOffset;
  asm volatile("xsave64 (%0)"
               :
               : "r"(area), "a"(static_cast<uint32_t>(xsave.features)),
                 "d"(static_cast<uint32_t>(xsave.features >> 32))
               : "memory");
  auto* const note = reinterpret_cast<XsaveNote*>(area + kNoteOffset);
  note->magic = kXstateMagic1;
  note->extended_size = xsave.size_bytes + sizeof(kXstateMagic2);
  note->features = xsave.features;
  note->xstate_size = xsave.size_bytes;
  __builtin_memcpy(area + xsave.size_bytes, &kXstateMagic2, sizeof(kXstateMagic2));

  auto* const user = reinterpret_cast<UserContext*>(frame);
  user->flags = kFpXstate | kSigcontextSs | kStrictRestoreSs;
  // rt_sigreturn sets the alternate stack as well: to what it is.
  raw_syscall(SYS_sigaltstack, 0, reinterpret_cast<uint64_t>(&user->stack));
  fill_context(user->context, origin);
  user->context.xsave_address = reinterpret_cast<uint64_t>(area);
  user->signal_mask = origin.signal_mask;
}

void return_through_stub(wire::ParasiteHeader* header) {
  using Origin = wire::ThreadOrigin;
  const uint64_t area_bytes = header->area_end - header->area_start;
  const uint64_t features = header->xsave.features;
  register const Origin* origin asm("r8") = &header->origin;
  register unsigned char* extended asm("r10") = header->frame + kXsaveOffset;
  // From the new stack pointer on nothing may be pushed: what lies below is the target's.
  asm volatile(
      "xrstor64 (%[extended])\n\t"
      "push %c[rflags](%[origin])\n\t"
      "popfq\n\t"
      "mov %c[rbx](%[origin]), %%rbx\n\t"
      "mov %c[rbp](%[origin]), %%rbp\n\t"
      "mov %c[r12](%[origin]), %%r12\n\t"
      "mov %c[r13](%[origin]), %%r13\n\t"
      "mov %c[r14](%[origin]), %%r14\n\t"
      "mov %c[r15](%[origin]), %%r15\n\t"
      "mov %c[rsp](%[origin]), %%rsp\n\t"
      "mov %[munmap], %%eax\n\t"
      "jmp *%%rcx"
      :
      : "a"(static_cast<uint32_t>(features)), "d"(static_cast<uint32_t>(features >> 32)),
        "c"(header->return_stub), "D"(header->area_start),
        "S"(area_bytes), [origin] "r"(origin), [extended] "r"(extended), [munmap] "i"(SYS_munmap),
        [rflags] "i"(offsetof(Origin, rflags)), [rbx] "i"(offsetof(Origin, rbx)),
        [rbp] "i"(offsetof(Origin, rbp)), [rsp] "i"(offsetof(Origin, rsp)),
        [r12] "i"(offsetof(Origin, r12)), [r13] "i"(offsetof(Origin, r13)),
        [r14] "i"(offsetof(Origin, r14)), [r15] "i"(offsetof(Origin, r15))
      : "memory");
  __builtin_unreachable();
}

void return_to_origin(unsigned char* frame, unsigned char* unmap_start, size_t unmap_bytes) {
  // The kernel finds the context at the stack pointer; from munmap on there is no other stack.
  asm volatile(
      "mov %[frame], %%rsp\n\t"
      "test %%rsi, %%rsi\n\t"
      "jz 1f\n\t"
      "mov %[munmap], %%eax\n\t"
      "syscall\n\t"
      "1: mov %[sigreturn], %%eax\n\t"
      "syscall\n\t"
      "ud2"
      :
      : [frame] "r"(frame), "D"(unmap_start),
        "S"(unmap_bytes), [munmap] "i"(SYS_munmap), [sigreturn] "i"(SYS_rt_sigreturn)
      : "memory", "rax", "rcx", "r11");
  __builtin_unreachable();
}

}  // namespace cryostat::parasite
