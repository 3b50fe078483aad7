#include "restorer/threads.h"

#include <linux/futex.h>
#include <linux/sched.h>
#include <sys/syscall.h>

#include "engine/kernel/raw_syscall.h"

namespace cryostat::restorer {
namespace {

constexpr uint64_t kThreadFlags =
    CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD | CLONE_SYSVSEM;
constexpr long kErrExist = 17;

// clone3 whose child calls function(a, b) on the stack given in `args` and must not return from it.
long clone_into(clone_args& args, void (*function)(void*, uint64_t), void* a, uint64_t b) {
  long result;
  register void (*r12)(void*, uint64_t) asm("r12") = function;
  register void* r13 asm("r13") = a;
  register uint64_t r14 asm("r14") = b;
  asm volatile(
      "syscall\n\t"
      "testq %%rax, %%rax\n\t"
      "jnz 1f\n\t"
      "xorl %%ebp, %%ebp\n\t"
      "movq %%r13, %%rdi\n\t"
      "movq %%r14, %%rsi\n\t"
      "callq *%%r12\n\t"
      "ud2\n\t"
      "1:\n\t"
      : "=a"(result)
      : "a"(SYS_clone3), "D"(&args), "S"(sizeof(args)), "r"(r12), "r"(r13), "r"(r14)
      : "rcx", "r11", "memory");
  return result;
}

struct HelperStart {
  void (*function)(void*);
  void* argument;
};

void helper_main(void* raw, uint64_t) {
  // The start block lies at the bottom of this helper's own stack.
  const HelperStart start = *static_cast<HelperStart*>(raw);
  start.function(start.argument);
  for (;;) raw_syscall(SYS_exit, 0);
}

long create_thread(wire::RestorerPlan& plan, uint64_t index,
                   void (*thread_main)(wire::RestorerPlan*, uint64_t)) {
  const wire::RestorerThread& thread = plan.threads.in(&plan)[index];
  int32_t tid = thread.tid;
  clone_args args{};
  args.flags = kThreadFlags | CLONE_PTRACE;
  args.stack = thread.stack_top - wire::kThreadStackBytes;
  args.stack_size = wire::kThreadStackBytes;
  args.set_tid = reinterpret_cast<uint64_t>(&tid);
  args.set_tid_size = 1;
  // A helper's number is only free some microseconds after join_helper() saw its end.
  constexpr int kTries = 200;
  long result = 0;
  for (int i = 0; i < kTries; ++i) {
    result =
        clone_into(args, reinterpret_cast<void (*)(void*, uint64_t)>(thread_main), &plan, index);
    if (result != -kErrExist) return result;
    struct {
      int64_t seconds, nanoseconds;
    } pause = {0, 500'000};
    raw_syscall(SYS_nanosleep, reinterpret_cast<uint64_t>(&pause), 0);
  }
  return result;
}

}  // namespace

int start_helper(const wire::RestorerPlan& plan, uint32_t index, void (*function)(void*),
                 void* argument, Helper& helper) {
  const uint64_t stack = plan.helper_stacks + index * wire::kHelperStackBytes;
  auto* start = reinterpret_cast<HelperStart*>(stack);
  *start = {function, argument};
  helper.alive = 1;
  clone_args args{};
  args.flags = kThreadFlags | CLONE_CHILD_CLEARTID;
  args.child_tid = reinterpret_cast<uint64_t>(&helper.alive);
  args.stack = stack;
  args.stack_size = wire::kHelperStackBytes;
  const long result = clone_into(args, helper_main, start, 0);
  if (!is_syscall_error(result)) return 0;
  helper.alive = 0;
  return static_cast<int>(result);
}

void join_helper(Helper& helper) {
  // Not FUTEX_PRIVATE: the kernel's wake at the end of a thread is a shared one.
  while (__atomic_load_n(&helper.alive, __ATOMIC_ACQUIRE) != 0) {
    raw_syscall(SYS_futex, reinterpret_cast<uint64_t>(&helper.alive), FUTEX_WAIT, 1, 0);
  }
}

int create_threads(wire::RestorerPlan& plan, void (*thread_main)(wire::RestorerPlan*, uint64_t)) {
  for (uint64_t i = 1; i < plan.threads.count; ++i) {
    const long result = create_thread(plan, i, thread_main);
    if (is_syscall_error(result)) {
      plan.detail = static_cast<uint64_t>(plan.threads.in(&plan)[i].tid);
      return static_cast<int>(result);
    }
  }
  return 0;
}

void wait_until_at_least(uint32_t* word, uint32_t value) {
  for (;;) {
    const uint32_t now = __atomic_load_n(word, __ATOMIC_ACQUIRE);
    if (now >= value) return;
    raw_syscall(SYS_futex, reinterpret_cast<uint64_t>(word), FUTEX_WAIT_PRIVATE, now, 0);
  }
}

void count_up(uint32_t* word, uint32_t wake_at) {
  if (__atomic_add_fetch(word, 1, __ATOMIC_ACQ_REL) != wake_at) return;
  raw_syscall(SYS_futex, reinterpret_cast<uint64_t>(word), FUTEX_WAKE_PRIVATE, 1);
}

}  // namespace cryostat::restorer
