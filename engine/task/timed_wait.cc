#include "engine/task/timed_wait.h"

#include <sys/syscall.h>
#include <time.h>

#include <algorithm>
#include <cerrno>

#include "engine/arch/x86_64/registers.h"
#include "engine/arch/x86_64/syscall_insn.h"
#include "engine/ptrace/tracee.h"
#include "engine/task/sleep_clock.h"

namespace cryostat::task {

namespace {

constexpr int64_t kNanosPerMilli = 1'000'000;
constexpr int64_t kNanosPerSecond = 1'000'000'000;

bool was_interrupted_in_epoll(const user_regs_struct& registers) {
  if (static_cast<int64_t>(registers.rax) != -EINTR || !arch::in_system_call(registers))
    return false;
  return registers.orig_rax == SYS_epoll_wait || registers.orig_rax == SYS_epoll_pwait;
}

}  // namespace

std::optional<int64_t> end_of_timed_wait(const user_regs_struct& registers,
                                         const SleepSample* sample, int64_t now_ns,
                                         const ReadRemote& read) {
  if (sample == nullptr || !was_interrupted_in_epoll(registers)) return std::nullopt;
  if (!is_sample_of(*sample, registers) || sample->ends_monotonic_ns <= now_ns) return std::nullopt;
  unsigned char code[arch::kCodeAfterSyscallBytes] = {};
  if (!read(RemoteAddr(registers.rip), code, sizeof(code)) || !arch::forgets_arguments(code))
    return std::nullopt;
  const int64_t limit_ns = static_cast<int32_t>(registers.r10) * kNanosPerMilli;
  return std::min(sample->ends_monotonic_ns, now_ns + limit_ns);
}

user_regs_struct wait_on(const user_regs_struct& registers, int64_t left_ns) {
  user_regs_struct again = registers;
  again.rax = static_cast<uint64_t>(-arch::kErestartNoHand);
  const int64_t left_ms = (std::max<int64_t>(left_ns, 0) + kNanosPerMilli - 1) / kNanosPerMilli;
  again.r10 = static_cast<uint64_t>(std::min<int64_t>(left_ms, INT32_MAX));
  return again;
}

void wait_on_in_place(const std::vector<TimedWait>& waits) {
  for (const TimedWait& wait : waits) {
    timespec now{};
    clock_gettime(CLOCK_MONOTONIC, &now);
    const int64_t left_ns = wait.ends_monotonic_ns - (now.tv_sec * kNanosPerSecond + now.tv_nsec);
    (void)ptrace::set_registers(wait.tid, wait_on(wait.registers, left_ns));
  }
}

}  // namespace cryostat::task
