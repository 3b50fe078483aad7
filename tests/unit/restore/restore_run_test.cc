// The mechanics of a restore from end to end, with a hand-made target.
#include <signal.h>
#include <sys/auxv.h>
#include <sys/rseq.h>
#include <sys/wait.h>
#include <time.h>

#include <chrono>
#include <thread>

#include "engine/arch/x86_64/vdso.h"
#include "engine/restore/blob_run.h"
#include "engine/restore/finish.h"
#include "engine/restore/vdso_move.h"
#include "tests/support/catch.h"
#include "tests/support/own_pid_namespace.h"
#include "tests/unit/restore/fake_target.h"

using namespace cryostat;
using namespace cryostat::restore;

// The programs. Each is copied out of this binary, so it must not refer to anything outside.
extern "C" {
extern const char tell_tid[], tell_tid_end[];
extern const char after_sleep[], after_sleep_end[];
extern const char call_vdso[], call_vdso_end[];
}
asm(R"(
.pushsection .text
.globl tell_tid, tell_tid_end, after_sleep, after_sleep_end, call_vdso, call_vdso_end
tell_tid:                       # words[1 + index] = gettid(); words[0]++; pause for ever
  mov %rdi, %rbx
  mov %rsi, %rbp
  mov $186, %eax
  syscall
  mov %rax, 8(%rbp,%rbx,8)
  lock incq (%rbp)
1: mov $34, %eax
  syscall
  jmp 1b
tell_tid_end:
after_sleep:                    # as if a system call just returned: words[1] = rax; words[0] = 1
  mov %rax, 8(%rsi)
  movq $1, (%rsi)
1: mov $34, %eax
  syscall
  jmp 1b
after_sleep_end:
call_vdso:                      # words[1] = clock_gettime(MONOTONIC, &words[2]) through r15
  mov %rsi, %rbp
  mov $1, %edi
  lea 16(%rbp), %rsi
  call *%r15
  mov %rax, 8(%rbp)
  movq $1, (%rbp)
1: mov $34, %eax
  syscall
  jmp 1b
call_vdso_end:
.popsection
)");

namespace {

constexpr pid_t kPid = 20'000;
const bool kOwnNamespace = test::enter_own_pid_namespace();
const StopRequest kNoStop;

size_t size_of(const char* begin, const char* end) { return static_cast<size_t>(end - begin); }

VdsoChoice vdso_as_here(VdsoMode mode, uint64_t at) {
  const auto own = getauxval(AT_SYSINFO_EHDR);
  VdsoChoice here = *choose_vdso(*find_own_vdso(), pb::AddressSpace(), "", {}, VdsoMode::kAuto);
  pb::AddressSpace space;
  space.set_vdso_start(at);
  space.set_vdso_size_bytes(here.vdso_size_bytes);
  space.set_vvar_start(at - (here.vdso_start - here.group_start));
  space.set_vvar_size_bytes(here.vdso_start - here.group_start);
  space.set_vdso_image(reinterpret_cast<const void*>(own), here.vdso_size_bytes);
  return *choose_vdso(*find_own_vdso(), space, space.vdso_image(), {}, mode);
}

// Restores and releases `target`, or the first error.
Result<void> restore_all(FakeTarget& target, VdsoChoice vdso, bool stopped = false) {
  auto tree = TRY(CreatedTree::create({}, target.hosted_tree(target.hosted_plan(std::move(vdso)))));
  TRY(tree.wait_ready(kNoStop));
  tree.enter_restorer();
  TRY(wait_for_memory(tree.root(), kNoStop));
  TRY(wait_for_threads(tree.root(), target.tids(), kNoStop));
  TRY(finish_threads(tree.root(), target.task(), target.threads(), {}));
  if (stopped) TRY(stop_task(tree.root(), target.threads(), SIGSTOP));
  TRY(outlive_restore(target.threads()));
  tree.disown();
  return release(tree.root(), target.threads());
}

bool wait_for_word(FakeTarget& target, uint64_t value) {
  for (int i = 0; i < 2000; ++i) {
    if (target.words()[0] == value) return true;
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  return false;
}

void end(pid_t pid) {
  kill(pid, SIGKILL);
  int status = 0;
  CHECK(waitpid(pid, &status, 0) == pid);
}

std::string message(const Result<void>& result) {
  return result.has_value() ? "ok" : result.error().message();
}

}  // namespace

TEST_CASE("pids can be chosen") { REQUIRE(kOwnNamespace); }

TEST_CASE("a task of one thread is rebuilt under its pid and runs") {
  FakeTarget target(kPid, tell_tid, size_of(tell_tid, tell_tid_end), 1);
  const auto result = restore_all(target, vdso_as_here(VdsoMode::kAuto, 0x210000000));
  INFO(message(result));
  REQUIRE(result.has_value());
  CHECK(wait_for_word(target, 1));
  CHECK(target.words()[1] == static_cast<uint64_t>(kPid));
  end(kPid);
}

TEST_CASE("a task of many threads is rebuilt with its tids") {
  constexpr int kThreads = 200;
  FakeTarget target(kPid, tell_tid, size_of(tell_tid, tell_tid_end), kThreads);
  const auto result = restore_all(target, vdso_as_here(VdsoMode::kAuto, 0x210000000));
  INFO(message(result));
  REQUIRE(result.has_value());
  CHECK(wait_for_word(target, kThreads));
  for (int i = 0; i < kThreads; ++i)
    CHECK(target.words()[1 + i] == static_cast<uint64_t>(kPid + i));
  end(kPid);
}

TEST_CASE("an interrupted sleep goes on with the time left") {
  FakeTarget target(kPid, after_sleep, size_of(after_sleep, after_sleep_end), 1);
  auto registers = target.registers(0);
  registers.rip = kFakeCode + 2;  // the kernel goes back by the length of the call's instruction
  registers.rax = static_cast<uint64_t>(-516);
  registers.orig_rax = SYS_nanosleep;
  target.set_registers(0, registers);
  auto* call = target.threads()[0].mutable_interrupted_call();
  call->set_kind(pb::InterruptedCall::NANOSLEEP);
  call->set_number(SYS_nanosleep);
  call->set_remaining_ns(200'000'000);
  for (int i = 0; i < 6; ++i) call->add_args(0);

  // The program starts with a system call instruction to go back to.
  std::string code = "\x0f\x05";
  code.append(after_sleep, size_of(after_sleep, after_sleep_end));
  FakeTarget sleeping(kPid, code.data(), code.size(), 1);
  sleeping.threads() = target.threads();
  const auto start = std::chrono::steady_clock::now();
  const auto result = restore_all(sleeping, vdso_as_here(VdsoMode::kAuto, 0x210000000));
  INFO(message(result));
  REQUIRE(result.has_value());
  CHECK(wait_for_word(sleeping, 1));
  const auto slept = std::chrono::steady_clock::now() - start;
  CHECK(slept >= std::chrono::milliseconds(199));
  CHECK(slept < std::chrono::milliseconds(400));
  CHECK(sleeping.words()[1] == 0);
  end(kPid);
}

TEST_CASE("the vDSO works at its old address, moved or re-targeted") {
  const auto mode = GENERATE(VdsoMode::kMove, VdsoMode::kRetarget);
  constexpr uint64_t kVdsoAt = 0x300010000;
  FakeTarget target(kPid, call_vdso, size_of(call_vdso, call_vdso_end), 1);
  VdsoChoice choice = vdso_as_here(mode, kVdsoAt);
  const auto parsed = arch::parse_vdso({reinterpret_cast<const unsigned char*>(choice.vdso_start),
                                        static_cast<size_t>(choice.vdso_size_bytes)});
  REQUIRE(parsed.has_value());
  auto registers = target.registers(0);
  registers.r15 = kVdsoAt + parsed->find("__vdso_clock_gettime")->offset;
  target.set_registers(0, registers);
  timespec before{};
  clock_gettime(CLOCK_MONOTONIC, &before);
  const auto result = restore_all(target, std::move(choice));
  INFO(message(result));
  REQUIRE(result.has_value());
  CHECK(wait_for_word(target, 1));
  CHECK(target.words()[1] == 0);
  CHECK(target.words()[2] >= static_cast<uint64_t>(before.tv_sec));
  CHECK(target.words()[2] <= static_cast<uint64_t>(before.tv_sec) + 5);
  end(kPid);
}

TEST_CASE("a task released stopped stops before its first instruction and goes on with SIGCONT") {
  FakeTarget target(kPid, tell_tid, size_of(tell_tid, tell_tid_end), 3);
  const auto result = restore_all(target, vdso_as_here(VdsoMode::kAuto, 0x210000000), true);
  INFO(message(result));
  REQUIRE(result.has_value());
  int status = 0;
  REQUIRE(waitpid(kPid, &status, WUNTRACED) == kPid);
  CHECK(WIFSTOPPED(status));
  CHECK(WSTOPSIG(status) == SIGSTOP);
  CHECK(target.words()[0] == 0);
  kill(kPid, SIGCONT);
  CHECK(wait_for_word(target, 3));
  end(kPid);
}

TEST_CASE("a child's own error comes to the parent, and nothing is left") {
  FakeTarget target(kPid, tell_tid, size_of(tell_tid, tell_tid_end), 1);
  HostedPlan plan = target.hosted_plan(vdso_as_here(VdsoMode::kAuto, 0x210000000));
  plan.steps.push_back({"a step", [](ChildContext&) -> Result<void> {
                          return fail(ErrorKind::kMachine, "the file is gone");
                        }});
  {
    auto task = CreatedTree::create({}, target.hosted_tree(plan));
    REQUIRE(task.has_value());
    const auto launch = task->wait_ready(kNoStop);
    REQUIRE_FALSE(launch.has_value());
    CHECK(launch.error().message() == "a step: the file is gone");
    CHECK(launch.error().kind() == ErrorKind::kMachine);
  }
  CHECK(kill(kPid, 0) == -1);
  CHECK(errno == ESRCH);
}

TEST_CASE("a child that faults is named with its signal") {
  FakeTarget target(kPid, tell_tid, size_of(tell_tid, tell_tid_end), 1);
  HostedPlan plan = target.hosted_plan(vdso_as_here(VdsoMode::kAuto, 0x210000000));
  plan.steps.push_back({"a step", [](ChildContext&) -> Result<void> { __builtin_trap(); }});
  auto task = CreatedTree::create({}, target.hosted_tree(plan));
  REQUIRE(task.has_value());
  const auto launch = task->wait_ready(kNoStop);
  REQUIRE_FALSE(launch.has_value());
  CHECK(launch.error().message().find("SIGILL") != std::string::npos);
}

TEST_CASE("a task killed at any stage leaves nothing") {
  FakeTarget target(kPid, tell_tid, size_of(tell_tid, tell_tid_end), 20);
  {
    auto task = CreatedTree::create(
        {}, target.hosted_tree(target.hosted_plan(vdso_as_here(VdsoMode::kAuto, 0x210000000))));
    REQUIRE(task.has_value());
    const auto launch = task->wait_ready(kNoStop);
    REQUIRE(launch.has_value());
    task->enter_restorer();
    REQUIRE(wait_for_memory(task->root(), kNoStop).has_value());
    REQUIRE(wait_for_threads(task->root(), target.tids(), kNoStop).has_value());
  }
  for (int i = 0; i < 20; ++i) CHECK(kill(kPid + i, 0) == -1);
}

TEST_CASE("a taken pid is named") {
  FakeTarget target(getpid(), tell_tid, size_of(tell_tid, tell_tid_end), 1);
  const auto task = CreatedTree::create({}, target.hosted_tree(target.hosted_plan({})));
  REQUIRE_FALSE(task.has_value());
  CHECK(task.error().kind() == ErrorKind::kMachine);
}

TEST_CASE("a tid that is taken fails the restore by number") {
  const pid_t other = fork();
  if (other == 0) {
    pause();
    _exit(0);
  }
  FakeTarget target(kPid, tell_tid, size_of(tell_tid, tell_tid_end), 2);
  target.threads()[1].set_tid(other);
  const auto result = restore_all(target, vdso_as_here(VdsoMode::kAuto, 0x210000000));
  REQUIRE_FALSE(result.has_value());
  INFO(message(result));
  CHECK(message(result).find(std::to_string(other)) != std::string::npos);
  CHECK(result.error().kind() == ErrorKind::kMachine);
  end(other);
}
