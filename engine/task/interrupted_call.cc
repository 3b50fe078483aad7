#include "engine/task/interrupted_call.h"

#include <linux/futex.h>
#include <sys/syscall.h>
#include <time.h>

#include <algorithm>
#include <cstring>
#include <optional>

#include "engine/base/log.h"
#include "engine/task/sleep_clock.h"
#include "proto/registers.pb.h"
#include "proto/wire/state_calls.h"

namespace cryostat::task {

namespace {

using wire::calls::KernelTimespec;

// Kernel-internal, visible to a tracer only (include/linux/errno.h).
constexpr int64_t kRestartBlock = -516;
constexpr int64_t kNanosPerSecond = 1'000'000'000;
constexpr int64_t kNanosPerMilli = 1'000'000;

struct Interrupted {
  uint64_t number;
  uint64_t args[6];
  const SleepSample* sample;
  int64_t now_ns;
};

std::optional<int64_t> read_timespec(uint64_t address, const ReadRemote& read) {
  KernelTimespec time;
  if (address == 0 || !read(RemoteAddr(address), &time, sizeof(time))) return std::nullopt;
  if (time.s < 0 || time.s > INT64_MAX / kNanosPerSecond - 1 || time.ns < 0 ||
      time.ns >= kNanosPerSecond)
    return std::nullopt;
  return time.s * kNanosPerSecond + time.ns;
}

// What is left of `timeout_ns`.
int64_t left_of(const Interrupted& call, int64_t timeout_ns) {
  if (call.sample != nullptr && call.sample->ends_monotonic_ns != 0)
    return std::clamp<int64_t>(call.sample->ends_monotonic_ns - call.now_ns, 0, timeout_ns);
  log::warn(
      "system call {} had a timeout of {} ns, and how much of it is left can't be told: "
      "it will wait all of it",
      call.number, timeout_ns);
  return timeout_ns;
}

void set_left(std::optional<int64_t> left, pb::InterruptedCall::Kind kind,
              pb::InterruptedCall& image) {
  image.set_kind(left ? kind : pb::InterruptedCall::UNKNOWN);
  image.set_remaining_ns(left ? static_cast<uint64_t>(*left) : 0);
}

// `request` and `remainder`: addresses. The kernel writes the remainder when it interrupts the
// sleep.
void save_sleep(const Interrupted& call, uint64_t request, uint64_t remainder,
                const ReadRemote& read, pb::InterruptedCall& image) {
  std::optional<int64_t> left = read_timespec(remainder != 0 ? remainder : request, read);
  if (left && remainder == 0) left = left_of(call, *left);
  set_left(left, pb::InterruptedCall::NANOSLEEP, image);
}

void save_poll(const Interrupted& call, pb::InterruptedCall& image) {
  const auto timeout_ms = static_cast<int32_t>(call.args[2]);
  if (timeout_ms < 0) {
    image.set_kind(pb::InterruptedCall::POLL);
    image.set_absolute(true);  // waits for ever: the same call again
    return;
  }
  set_left(left_of(call, timeout_ms * kNanosPerMilli), pb::InterruptedCall::POLL, image);
}

void save_futex(const Interrupted& call, const ReadRemote& read, pb::InterruptedCall& image) {
  const auto operation = static_cast<int>(call.args[1]) & FUTEX_CMD_MASK;
  if (operation == FUTEX_WAIT_BITSET) {
    image.set_kind(pb::InterruptedCall::FUTEX);
    image.set_absolute(true);
    return;
  }
  std::optional<int64_t> left = read_timespec(call.args[3], read);
  if (left) left = left_of(call, *left);
  set_left(left, pb::InterruptedCall::FUTEX, image);
}

// restart_syscall hides which call it continues.
uint64_t continued_call(const user_regs_struct& registers, const SleepSample* sample,
                        const ReadRemote& read) {
  if (sample != nullptr && sample->original_number != 0 &&
      sample->original_number != SYS_restart_syscall)
    return sample->original_number;
  unsigned char code[7] = {};
  if (registers.rip < sizeof(code) ||
      !read(RemoteAddr(registers.rip - sizeof(code)), code, sizeof(code)))
    return 0;
  return call_number_in_code(code);
}

}  // namespace

bool is_sample_of(const SleepSample& sample, const user_regs_struct& registers) {
  const uint64_t args[] = {registers.rdi, registers.rsi, registers.rdx,
                           registers.r10, registers.r8,  registers.r9};
  return sample.number == registers.orig_rax && sample.stack_pointer == registers.rsp &&
         std::equal(std::begin(args), std::end(args), std::begin(sample.args));
}

uint64_t call_number_in_code(const unsigned char (&code)[7]) {
  if (code[0] != 0xb8 || code[5] != 0x0f || code[6] != 0x05) return 0;
  uint32_t number;
  std::memcpy(&number, code + 1, sizeof(number));
  return number;
}

void save_interrupted_call(const user_regs_struct& registers, const SleepSample* sample,
                           int64_t now_ns, const ReadRemote& read, pb::InterruptedCall& image) {
  if (static_cast<int64_t>(registers.rax) != kRestartBlock ||
      static_cast<int64_t>(registers.orig_rax) < 0)
    return;
  Interrupted call{
      registers.orig_rax,
      {registers.rdi, registers.rsi, registers.rdx, registers.r10, registers.r8, registers.r9},
      sample,
      now_ns};
  if (sample != nullptr && !is_sample_of(*sample, registers)) call.sample = nullptr;
  if (call.number == SYS_restart_syscall)
    call.number = continued_call(registers, call.sample, read);
  image.set_number(call.number);
  image.mutable_args()->Add(std::begin(call.args), std::end(call.args));
  switch (call.number) {
    case SYS_nanosleep:
      image.set_clock_id(CLOCK_MONOTONIC);
      return save_sleep(call, call.args[0], call.args[1], read, image);
    case SYS_clock_nanosleep:
      image.set_clock_id(static_cast<uint32_t>(call.args[0]));
      return save_sleep(call, call.args[2], call.args[3], read, image);
    case SYS_poll:
      return save_poll(call, image);
    case SYS_futex:
      return save_futex(call, read, image);
    default:
      image.set_kind(pb::InterruptedCall::UNKNOWN);
  }
}

}  // namespace cryostat::task
