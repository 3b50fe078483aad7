#include "parasite/memory_copy.h"

#include <errno.h>
#include <linux/close_range.h>
#include <linux/sched.h>
#include <sys/syscall.h>

#include <cstdint>

#include "engine/kernel/raw_syscall.h"
#include "proto/wire/parasite_state.h"

namespace cryostat::parasite {

namespace {

using wire::MemoryCopyRequest;
using wire::MemoryCopyStep;

constexpr uint64_t kWaitAll = 0x40000000;  // __WALL
constexpr uint64_t kSigchld = 17;
constexpr uint64_t kSignalIgnore = 1;  // SIG_IGN

using Entry = void (*)(MemoryCopyRequest*);

// A new process that starts in `entry` on a stack of its own; `entry` never returns.
long start(uint64_t flags, unsigned char* stack_end, Entry entry, MemoryCopyRequest* request) {
  long result;
  register uint64_t parent_tid asm("r10") = 0;
  register uint64_t tls asm("r8") = 0;
  register Entry first asm("r12") = entry;
  register MemoryCopyRequest* argument asm("r13") = request;
  asm volatile(
      "syscall\n\t"
      "test %%rax, %%rax\n\t"
      "jnz 1f\n\t"
      "xor %%ebp, %%ebp\n\t"
      "mov %%r13, %%rdi\n\t"
      "call *%%r12\n\t"
      "ud2\n\t"
      "1:"
      : "=a"(result)
      : "a"(SYS_clone), "D"(flags), "S"(stack_end), "d"(0), "r"(parent_tid), "r"(tls), "r"(first),
        "r"(argument)
      : "rcx", "r11", "memory");
  return result;
}

[[noreturn]] void end_process() {
  for (;;) raw_syscall(SYS_exit_group, 0);
}

void note(MemoryCopyRequest* request, MemoryCopyStep step, long error) {
  if (request->error != 0) return;
  request->failed_step = step;
  request->error = static_cast<int32_t>(error);
}

// The copy: nothing but its memory matters. The engine takes it over here.
void copy_entry(MemoryCopyRequest*) {
  for (;;) raw_syscall(SYS_pause);
}

void midwife_entry(MemoryCopyRequest* request) {
  const long pid = start(CLONE_FILES | kSigchld, request->copy_stack + wire::kCopyStackBytes,
                         copy_entry, request);
  if (is_syscall_error(pid))
    note(request, MemoryCopyStep::kFork, pid);
  else
    request->copy_pid = static_cast<int32_t>(pid);
  end_process();
}

long join(int32_t fd, uint64_t type) {
  return fd < 0 ? 0 : raw_syscall(SYS_setns, static_cast<uint64_t>(fd), type);
}

// Waits until `pid` is gone, reaped by us or by the kernel.
void wait_for(long pid) {
  while (raw_syscall(SYS_wait4, static_cast<uint64_t>(pid), 0, kWaitAll) == -EINTR) {
  }
}

bool prepare_messenger(MemoryCopyRequest* request) {
  // The user namespace first: it gives the right to join the other one.
  if (const long error = join(request->user_namespace_fd, CLONE_NEWUSER); error != 0) {
    note(request, MemoryCopyStep::kJoinUserNamespace, error);
    return false;
  }
  if (const long error = join(request->pid_namespace_fd, CLONE_NEWPID); error != 0) {
    note(request, MemoryCopyStep::kJoinPidNamespace, error);
    return false;
  }
  // A table of its own in which nothing is open: none of the target's descriptors is closed, so no
  // file sees a flush. The two processes to come share that table.
  if (const long error = raw_syscall(SYS_close_range, 0, ~0u, CLOSE_RANGE_UNSHARE); error != 0) {
    note(request, MemoryCopyStep::kDropDescriptors, error);
    return false;
  }
  return true;
}

void messenger_entry(MemoryCopyRequest* request) {
  if (!prepare_messenger(request)) end_process();
  const long midwife = start(CLONE_VM | CLONE_FILES, request->midwife_stack + wire::kCopyStackBytes,
                             midwife_entry, request);
  if (is_syscall_error(midwife))
    note(request, MemoryCopyStep::kStartMidwife, midwife);
  else
    wait_for(midwife);
  end_process();
}

long set_sigchld(const wire::SignalActionState* action, wire::SignalActionState* old) {
  return raw_syscall(SYS_rt_sigaction, kSigchld, reinterpret_cast<uint64_t>(action),
                     reinterpret_cast<uint64_t>(old), sizeof(uint64_t));
}

// With exit signal 0 the target is not told when the messenger ends.
void run_messenger(MemoryCopyRequest* request, uint64_t exit_signal) {
  const long messenger =
      start(CLONE_VM | CLONE_FILES | exit_signal, request->messenger_stack + wire::kCopyStackBytes,
            messenger_entry, request);
  if (is_syscall_error(messenger))
    note(request, MemoryCopyStep::kStartMessenger, messenger);
  else
    wait_for(messenger);
}

}  // namespace

int copy_memory(MemoryCopyRequest* request, size_t data_bytes) {
  if (data_bytes < sizeof(*request)) return -EINVAL;
  request->copy_pid = 0;
  request->error = 0;
  request->failed_step = MemoryCopyStep::kNone;
  wire::SignalActionState saved;
  wire::SignalActionState ignore;
  ignore.handler = kSignalIgnore;
  if (request->quiet != 0 && set_sigchld(&ignore, &saved) == 0) {
    run_messenger(request, kSigchld);
    set_sigchld(&saved, nullptr);
  } else {
    run_messenger(request, 0);
  }
  // Killed from elsewhere on the way.
  if (request->copy_pid == 0) note(request, MemoryCopyStep::kReapMessenger, -ECHILD);
  return request->error;
}

}  // namespace cryostat::parasite
