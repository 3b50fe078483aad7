#include "engine/restore/restart_block.h"

#include <sys/syscall.h>
#include <cerrno>

#include "proto/registers.pb.h"
#include "tests/support/catch.h"

using namespace cryostat;
using namespace cryostat::restore;

namespace {
constexpr uint64_t kInsn = 0x7fff0000;
constexpr uint64_t kTime = 0x5000;

pb::InterruptedCall call(pb::InterruptedCall::Kind kind, uint64_t number, uint64_t remaining_ns) {
  pb::InterruptedCall made;
  made.set_kind(kind);
  made.set_number(number);
  made.set_remaining_ns(remaining_ns);
  for (uint64_t i = 0; i < 6; ++i) made.add_args(0x100 + i);
  return made;
}

user_regs_struct original() {
  user_regs_struct registers{};
  registers.rip = 0x401000;
  registers.rax = static_cast<uint64_t>(-516);
  registers.orig_rax = SYS_nanosleep;
  registers.rbx = 42;
  return registers;
}
}  // namespace

TEST_CASE("a sleep is issued again with the time left and its own remainder pointer") {
  const auto again = reissue(call(pb::InterruptedCall::NANOSLEEP, SYS_nanosleep, 2'500'000'000),
                             original(), kInsn, kTime);
  REQUIRE(again.has_value());
  CHECK(again->registers.rip == kInsn);
  CHECK(again->registers.rax == SYS_nanosleep);
  CHECK(again->registers.orig_rax == static_cast<uint64_t>(-1));
  CHECK(again->registers.rdi == kTime);
  CHECK(again->registers.rsi == 0x101);
  CHECK(again->registers.rbx == 42);
  CHECK(again->uses_timespec);
  CHECK(again->timespec[0] == 2);
  CHECK(again->timespec[1] == 500'000'000);
}

TEST_CASE("clock_nanosleep and futex take their time from the third and fourth argument") {
  const auto sleep = reissue(call(pb::InterruptedCall::NANOSLEEP, SYS_clock_nanosleep, 1),
                             original(), kInsn, kTime);
  REQUIRE(sleep.has_value());
  CHECK(sleep->registers.rdi == 0x100);
  CHECK(sleep->registers.rdx == kTime);
  const auto futex =
      reissue(call(pb::InterruptedCall::FUTEX, SYS_futex, 1), original(), kInsn, kTime);
  REQUIRE(futex.has_value());
  CHECK(futex->registers.r10 == kTime);
}

TEST_CASE("poll's time left is rounded up to milliseconds") {
  const auto again =
      reissue(call(pb::InterruptedCall::POLL, SYS_poll, 1'000'001), original(), kInsn, kTime);
  REQUIRE(again.has_value());
  CHECK(again->registers.rdx == 2);
  CHECK_FALSE(again->uses_timespec);
}

TEST_CASE("an absolute time stays where it is") {
  auto absolute = call(pb::InterruptedCall::FUTEX, SYS_futex, 0);
  absolute.set_absolute(true);
  const auto again = reissue(absolute, original(), kInsn, kTime);
  REQUIRE(again.has_value());
  CHECK(again->registers.r10 == 0x103);
  CHECK_FALSE(again->uses_timespec);
}

TEST_CASE("nothing is issued again without need or knowledge") {
  CHECK_FALSE(reissue(pb::InterruptedCall(), original(), kInsn, kTime).has_value());
  CHECK_FALSE(
      reissue(call(pb::InterruptedCall::UNKNOWN, 219, 0), original(), kInsn, kTime).has_value());
  CHECK_FALSE(reissue(call(pb::InterruptedCall::NANOSLEEP, SYS_read, 0), original(), kInsn, kTime)
                  .has_value());
}

TEST_CASE("an interrupted call goes on, a finished one shows its result") {
  const user_regs_struct goes_on = after_reissue(original(), -516);
  CHECK(static_cast<int64_t>(goes_on.rax) == -516);
  CHECK(goes_on.orig_rax == SYS_nanosleep);
  CHECK(goes_on.rip == 0x401000);
  const user_regs_struct finished = after_reissue(original(), -EAGAIN);
  CHECK(static_cast<int64_t>(finished.rax) == -EAGAIN);
  CHECK(static_cast<int64_t>(finished.orig_rax) == -1);
}
