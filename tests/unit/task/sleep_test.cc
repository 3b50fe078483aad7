// Interrupted calls: what is told about them, and what time they have left.
#include <linux/futex.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <map>

#include "engine/procfs/task_handle.h"
#include "engine/task/interrupted_call.h"
#include "engine/task/sleep_clock.h"
#include "engine/task/timed_wait.h"
#include "proto/registers.pb.h"
#include "tests/support/catch.h"

namespace cryostat::task {
namespace {

constexpr int64_t kSecond = 1'000'000'000;

// Memory of a made-up task.
struct FakeMemory {
  std::map<uint64_t, std::string> pieces;
  void put(uint64_t address, const void* data, size_t bytes) {
    pieces[address] = std::string(static_cast<const char*>(data), bytes);
  }
  ReadRemote reader() {
    return [this](RemoteAddr from, void* to, size_t bytes) -> Result<void> {
      const auto piece = pieces.find(from.value);
      if (piece == pieces.end() || piece->second.size() < bytes)
        return fail(ErrorKind::kFailed, "nothing there");
      std::memcpy(to, piece->second.data(), bytes);
      return {};
    };
  }
};

user_regs_struct interrupted(uint64_t number, uint64_t a = 0, uint64_t b = 0, uint64_t c = 0,
                             uint64_t d = 0) {
  user_regs_struct registers{};
  registers.rax = static_cast<uint64_t>(-516);
  registers.orig_rax = number;
  registers.rdi = a;
  registers.rsi = b;
  registers.rdx = c;
  registers.r10 = d;
  registers.rsp = 0x7000;
  registers.rip = 0x4007;
  return registers;
}

SleepSample sample_for(const user_regs_struct& registers, int64_t ends_ns) {
  SleepSample sample;
  sample.number = registers.orig_rax;
  sample.original_number = registers.orig_rax;
  const uint64_t args[6] = {registers.rdi, registers.rsi, registers.rdx, registers.r10, 0, 0};
  std::memcpy(sample.args, args, sizeof(args));
  sample.stack_pointer = registers.rsp;
  sample.ends_monotonic_ns = ends_ns;
  return sample;
}

pb::InterruptedCall save(const user_regs_struct& registers, const SleepSample* sample, int64_t now,
                         FakeMemory memory = {}) {
  pb::InterruptedCall image;
  save_interrupted_call(registers, sample, now, memory.reader(), image);
  return image;
}

TEST_CASE("a call without a restart block is left alone") {
  user_regs_struct registers = interrupted(SYS_nanosleep);
  registers.rax = static_cast<uint64_t>(-512);
  CHECK(save(registers, nullptr, 0).kind() == pb::InterruptedCall::NONE);
}

TEST_CASE("nanosleep with a remainder argument tells itself") {
  FakeMemory memory;
  const timespec left{3, 250};
  memory.put(0x2000, &left, sizeof(left));
  const auto image = save(interrupted(SYS_nanosleep, 0x1000, 0x2000), nullptr, 0, memory);
  CHECK(image.kind() == pb::InterruptedCall::NANOSLEEP);
  CHECK(image.remaining_ns() == 3 * kSecond + 250);
  CHECK(image.args(1) == 0x2000);
}

TEST_CASE("nanosleep without one counts to its end; a wait may be too long, never too short") {
  FakeMemory memory;
  const timespec wanted{10, 0};
  memory.put(0x1000, &wanted, sizeof(wanted));
  const auto registers = interrupted(SYS_nanosleep, 0x1000, 0);
  const SleepSample sample = sample_for(registers, 15 * kSecond);
  CHECK(save(registers, &sample, 8 * kSecond, memory).remaining_ns() == 7 * kSecond);
  CHECK(save(registers, &sample, 20 * kSecond, memory).remaining_ns() == 0);
  CHECK(save(registers, nullptr, 8 * kSecond, memory).remaining_ns() == 10 * kSecond);
}

TEST_CASE("a sample of another call is not used") {
  const auto registers = interrupted(SYS_poll, 0x1000, 1, 5000);
  SleepSample sample = sample_for(registers, 6 * kSecond);
  CHECK(save(registers, &sample, 2 * kSecond).remaining_ns() == 4 * kSecond);
  sample.stack_pointer += 8;
  CHECK(save(registers, &sample, 2 * kSecond).remaining_ns() == 5 * kSecond);
}

TEST_CASE("waits without end or until a point in time are simply issued again") {
  CHECK(save(interrupted(SYS_poll, 0x1000, 1, static_cast<uint64_t>(-1)), nullptr, 0).absolute());
  const auto image =
      save(interrupted(SYS_futex, 0x1000, FUTEX_WAIT_BITSET_PRIVATE, 1, 0x3000), nullptr, 0);
  CHECK(image.kind() == pb::InterruptedCall::FUTEX);
  CHECK(image.absolute());
}

TEST_CASE("epoll_wait with a limit waits on where nobody can see how") {
  // glibc, single-threaded: cmp $-4096,%rax; ja; ret
  const unsigned char libc[16] = {0x48, 0x3d, 0x00, 0xf0, 0xff, 0xff, 0x77, 0x5d, 0xc3};
  const unsigned char inlined[16] = {0x48, 0x3d, 0x00, 0xf0, 0xff, 0xff, 0x77, 0x5d, 0x44};
  auto registers = interrupted(SYS_epoll_wait, 3, 0x1000, 8, 5000);
  registers.rax = static_cast<uint64_t>(-EINTR);
  const auto sample = sample_for(registers, 6 * kSecond);
  const auto end = [&](const unsigned char(&code)[16], int64_t now_ns,
                       const user_regs_struct& frozen) -> int64_t {
    FakeMemory memory;
    memory.put(frozen.rip, code, sizeof(code));
    return end_of_timed_wait(frozen, &sample, now_ns, memory.reader()).value_or(-1);
  };
  CHECK(end(libc, 2 * kSecond, registers) == 6 * kSecond);
  CHECK(end(inlined, 2 * kSecond, registers) == -1);
  // The call that was seen has ended: this is another one like it.
  CHECK(end(libc, 7 * kSecond, registers) == -1);
  // Never longer than the limit.
  CHECK(end(libc, kSecond / 2, registers) == kSecond / 2 + 5 * kSecond);
  auto ended = registers;
  ended.rax = 1;
  CHECK(end(libc, 2 * kSecond, ended) == -1);
  auto elsewhere = registers;
  elsewhere.rsp += 16;
  CHECK(end(libc, 2 * kSecond, elsewhere) == -1);

  const auto again = wait_on(registers, 1'000'001);
  CHECK(again.r10 == 2);
  CHECK(static_cast<int64_t>(again.rax) == -514);
  CHECK(again.orig_rax == SYS_epoll_wait);
  CHECK(wait_on(registers, -5).r10 == 0);
}

TEST_CASE("restart_syscall shows its call in the code before it") {
  const unsigned char libc[7] = {0xb8, 0xe6, 0, 0, 0, 0x0f, 0x05};
  CHECK(call_number_in_code(libc) == SYS_clock_nanosleep);
  const unsigned char other[7] = {0x90, 0xe6, 0, 0, 0, 0x0f, 0x05};
  CHECK(call_number_in_code(other) == 0);
  FakeMemory memory;
  memory.put(0x4000, libc, sizeof(libc));
  const timespec left{1, 0};
  memory.put(0x2000, &left, sizeof(left));
  const auto image = save(interrupted(SYS_restart_syscall, CLOCK_MONOTONIC, 0, 0x1000, 0x2000),
                          nullptr, 0, memory);
  CHECK(image.kind() == pb::InterruptedCall::NANOSLEEP);
  CHECK(image.number() == SYS_clock_nanosleep);
  CHECK(image.remaining_ns() == kSecond);
}

TEST_CASE("/proc/<tid>/syscall is parsed") {
  const auto sample = parse_sleeping_call("7 0x7ffc01 0x1 0x1388 0x0 0x0 0x0 0x7ffc00 0x7f0012\n");
  REQUIRE(sample);
  CHECK(sample->number == SYS_poll);
  CHECK(sample->args[2] == 5000);
  CHECK(sample->stack_pointer == 0x7ffc00);
  CHECK(parse_sleeping_call("running\n")->number == 0);
  CHECK(parse_sleeping_call("-1 0x7ffc00 0x7f0012\n")->number == 0);
  CHECK_FALSE(parse_sleeping_call("7 0x7ffc01 zz"));
  CHECK_FALSE(parse_sleeping_call("7 0x1"));
}

TEST_CASE("/proc/timer_list is parsed") {
  const std::string text =
      "cpu: 0\n clock 0:\n  .index:      0\nactive timers:\n"
      " #0: <00a>, tick_nohz_handler, S:01\n # expires at 5000-5000 nsecs [in 1 to 1 nsecs]\n"
      " #1: <00b>, hrtimer_wakeup, S:01\n # expires at 7000-8000 nsecs [in 1 to 1 nsecs]\n"
      " #2: <00c>, hrtimer_wakeup, S:01\n # expires at 9000-9000 nsecs [in 1 to 1 nsecs]\n"
      " clock 1:\nactive timers:\n"
      " #0: <00d>, hrtimer_wakeup, S:01\n # expires at 9500-9500 nsecs [in 1 to 1 nsecs]\n";
  const auto timers = parse_timer_list(text);
  REQUIRE(timers.size() == 2);
  CHECK(timers[0] == SleepTimer{"<00b>", 7000, 1000});
  CHECK(parse_timer_list(" clock 0:\n #1: <").empty());
}

TEST_CASE("timers are looked at for waits that last") {
  SleepSample sample;
  sample.number = SYS_nanosleep;
  sample.timeout_ns = 20'000;
  SleepSamples samples;
  CHECK_FALSE(samples.need_timers());
  samples.add(Tid(1), sample);
  CHECK_FALSE(samples.need_timers());
  sample.timeout_ns = 2'000'000;
  samples.add(Tid(2), sample);
  CHECK(samples.need_timers());
}

TEST_CASE("the timer of a sleep is one that vanished") {
  const SleepTimer near{"<a>", 100 * kSecond, 50'000};
  const SleepTimer other{"<b>", 130 * kSecond, 50'000};
  const SleepTimer staying{"<c>", 100 * kSecond + 1, 50'000};
  SleepSample estimated;
  estimated.number = SYS_poll;
  estimated.timeout_ns = 10 * kSecond;
  estimated.began_monotonic_ns = 90 * kSecond;
  estimated.ends_monotonic_ns = 100 * kSecond + 20'000'000;
  SleepSample continued;
  continued.number = SYS_restart_syscall;
  continued.original_number = SYS_nanosleep;
  continued.timeout_ns = 60 * kSecond;
  SleepSamples samples;
  samples.add(Tid(1), estimated);
  samples.add(Tid(2), continued);
  samples.note_timers({near, other, staying});
  SECTION("each finds its own") {
    samples.settle({staying}, 91 * kSecond);
    CHECK(samples.find(Tid(1))->ends_monotonic_ns == near.end_ns);
    CHECK(samples.find(Tid(2))->ends_monotonic_ns == other.end_ns);
  }
  SECTION("without the list the estimate stays") {
    samples.settle({near, other, staying}, 91 * kSecond);
    CHECK(samples.find(Tid(1))->ends_monotonic_ns == estimated.ends_monotonic_ns);
    CHECK(samples.find(Tid(2))->ends_monotonic_ns == 0);
  }
  SECTION("of several continued calls none is guessed") {
    samples.add(Tid(3), continued);
    samples.settle({staying}, 91 * kSecond);
    CHECK(samples.find(Tid(2))->ends_monotonic_ns == 0);
  }
}

TEST_CASE("the moment a child went to sleep is found") {
  const pid_t child = fork();
  if (child == 0) {
    const timespec wanted{30, 0};
    syscall(SYS_nanosleep, &wanted, nullptr);
    _exit(0);
  }
  timespec began{};
  clock_gettime(CLOCK_MONOTONIC, &began);
  const timespec wait{0, 100'000'000};
  nanosleep(&wait, nullptr);
  const auto handle = TaskHandle::open(HostPid(child));
  REQUIRE(handle);
  const SleepSamples samples = sample_sleeps(*handle);
  kill(child, SIGKILL);
  waitpid(child, nullptr, 0);
  const SleepSample* sample = samples.find(Tid(child));
  REQUIRE(sample != nullptr);
  CHECK(sample->number == SYS_nanosleep);
  const int64_t difference = sample->began_monotonic_ns - (began.tv_sec * kSecond + began.tv_nsec);
  CHECK(difference > -20'000'000);
  CHECK(difference < 80'000'000);
}

}  // namespace
}  // namespace cryostat::task
