// A real child is frozen, asked, and compared with what it did to itself.
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <signal.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <chrono>
#include <functional>
#include <thread>

#include "engine/base/refusals.h"
#include "engine/infect/infected_task.h"
#include "engine/procfs/task_handle.h"
#include "engine/ptrace/seized_task.h"
#include "engine/task/collect.h"
#include "engine/task/session.h"
#include "engine/task/sleep_clock.h"
#include "proto/mm.pb.h"
#include "tests/support/catch.h"

namespace cryostat::task {
namespace {

// A child that did `setup` and then does `wait` (for ever); killed at the end.
class Child {
 public:
  Child(const std::function<void()>& setup, const std::function<void()>& wait) {
    int ready[2];
    REQUIRE(pipe2(ready, O_CLOEXEC) == 0);
    pid_ = fork();
    if (pid_ == 0) {
      setup();
      (void)!write(ready[1], "r", 1);
      close(ready[0]);
      close(ready[1]);
      for (;;) wait();
    }
    close(ready[1]);
    char byte = 0;
    REQUIRE(read(ready[0], &byte, 1) == 1);
    close(ready[0]);
    std::this_thread::sleep_for(std::chrono::milliseconds(50));  // let it fall asleep
  }
  ~Child() {
    kill(pid_, SIGKILL);
    waitpid(pid_, nullptr, __WALL);
  }
  pid_t pid() const { return pid_; }

 private:
  pid_t pid_ = 0;
};

struct Outcome {
  CollectedTask collected;
  Refusals refusals;
};

Outcome collect(const Child& child, bool shell_job = true) {
  Outcome outcome;
  const auto handle = TaskHandle::open(HostPid(child.pid()));
  REQUIRE(handle);
  const SleepSamples sleeps = sample_sleeps(*handle);
  const StopRequest stop;
  const Deadline deadline = Deadline::in(std::chrono::seconds(5));
  auto seized = SeizedTask::freeze(*handle, deadline, stop);
  if (!seized) FAIL(seized.error().message());
  auto infected = InfectedTask::inject(*seized, deadline, stop);
  if (!infected) FAIL(infected.error().message());
  auto collected = collect_task(*seized, *infected, sleeps, outcome.refusals);
  if (!collected) FAIL(collected.error().message());
  outcome.collected = std::move(*collected);
  pb::Task* const task = &outcome.collected.task;
  find_outside_sessions(std::span(&task, 1), shell_job, outcome.refusals);
  CHECK(infected->cure());
  CHECK(seized->release(SeizedTask::Mode::kResume));
  return outcome;
}

void sleep_long() {
  const timespec long_time{30, 0};
  syscall(SYS_nanosleep, &long_time, nullptr);
}

TEST_CASE("a frozen task is told as it set itself up") {
  const Child child(
      [] {
        signal(SIGUSR1, SIG_IGN);
        sigset_t blocked;
        sigemptyset(&blocked);
        sigaddset(&blocked, SIGRTMIN);
        sigaddset(&blocked, SIGUSR2);
        sigprocmask(SIG_BLOCK, &blocked, nullptr);
        sigqueue(getpid(), SIGRTMIN, {.sival_int = 17});
        syscall(SYS_tgkill, getpid(), getpid(), SIGUSR2);
        const itimerval timer{{3, 0}, {20, 0}};
        setitimer(ITIMER_REAL, &timer, nullptr);
        sigevent event{};
        event.sigev_notify = SIGEV_SIGNAL;
        event.sigev_signo = SIGUSR2;
        timer_t id{};
        timer_create(CLOCK_MONOTONIC, &event, &id);
        const itimerspec spec{{0, 0}, {40, 0}};
        timer_settime(id, 0, &spec, nullptr);
        prctl(PR_SET_NAME, "icy");
        prctl(PR_SET_CHILD_SUBREAPER, 1);
        umask(0123);
        setpriority(PRIO_PROCESS, 0, 5);
        if (chdir("/tmp") != 0) _exit(1);
      },
      sleep_long);
  const Outcome outcome = collect(child);
  CHECK(outcome.refusals.empty());
  const pb::Task& task = outcome.collected.task;
  const pb::Thread& thread = outcome.collected.threads.at(0);
  CHECK(task.pid() == child.pid());
  CHECK(task.umask() == 0123);
  CHECK(task.cwd().path() == "/tmp");
  CHECK(task.child_subreaper());
  CHECK(task.limits_size() == 16);
  REQUIRE(task.pending_size() == 1);
  REQUIRE(thread.pending_size() == 1);
  REQUIRE(task.interval_timers_size() == 1);
  CHECK(task.interval_timers(0).remaining_us() > 15'000'000);
  CHECK(task.interval_timers(0).interval_us() == 3'000'000);
  REQUIRE(task.posix_timers_size() == 1);
  CHECK(task.posix_timers(0).remaining_ns() > 35'000'000'000);
  CHECK(thread.comm() == "icy");
  CHECK(thread.scheduling().nice() == 5);
  CHECK(thread.rseq().address() != 0);
  CHECK(thread.robust_list().size_bytes() == 24);
  CHECK(thread.interrupted_call().kind() == pb::InterruptedCall::NANOSLEEP);
  CHECK(thread.interrupted_call().remaining_ns() > 29'000'000'000);
  CHECK(thread.interrupted_call().remaining_ns() < 29'990'000'000);
}

TEST_CASE("a task frozen twice still tells its time left") {
  const Child child([] {}, sleep_long);
  (void)collect(child);
  std::this_thread::sleep_for(std::chrono::milliseconds(100));
  const Outcome outcome = collect(child);
  const auto& call = outcome.collected.threads.at(0).interrupted_call();
  CHECK(call.number() == SYS_nanosleep);
  CHECK(call.kind() == pb::InterruptedCall::NANOSLEEP);
  CHECK(call.remaining_ns() > 29'000'000'000);
  CHECK(call.remaining_ns() < 29'900'000'000);
}

TEST_CASE("a shell job is refused with what to add") {
  const Child child([] {}, sleep_long);
  const Outcome outcome = collect(child, false);
  REQUIRE(outcome.refusals.lines().size() == 1);
  CHECK(outcome.refusals.lines()[0].find("add --shell-job") != std::string::npos);
}

TEST_CASE("a session leader without a terminal is not a shell job") {
  const Child child([] { setsid(); }, sleep_long);
  CHECK(collect(child, false).refusals.empty());
}

TEST_CASE("seccomp programs are saved, also when they forbid nearly all") {
  if (geteuid() != 0) return;
  const Child child(
      [] {
        sock_filter program[] = {
            {BPF_LD | BPF_W | BPF_ABS, 0, 0, offsetof(seccomp_data, nr)},
            {BPF_JMP | BPF_JEQ | BPF_K, 2, 0, SYS_nanosleep},
            {BPF_JMP | BPF_JEQ | BPF_K, 1, 0, SYS_write},
            {BPF_JMP | BPF_JEQ | BPF_K, 0, 1, SYS_close},
            {BPF_RET | BPF_K, 0, 0, SECCOMP_RET_ALLOW},
            {BPF_RET | BPF_K, 0, 0, SECCOMP_RET_KILL_PROCESS},
        };
        const sock_fprog whole{6, program};
        prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
        if (syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &whole) != 0) _exit(1);
      },
      sleep_long);
  const Outcome outcome = collect(child);
  CHECK(outcome.refusals.empty());
  const pb::Seccomp& seccomp = outcome.collected.threads.at(0).seccomp();
  CHECK(seccomp.mode() == 2);
  REQUIRE(seccomp.filters_size() == 1);
  CHECK(seccomp.filters(0).instructions().size() == 48);
  CHECK(outcome.collected.threads.at(0).credentials().no_new_privs());
  CHECK(kill(child.pid(), 0) == 0);
}

TEST_CASE("a thread with descriptors of its own is refused by name") {
  const Child child(
      [] {
        std::thread([] {
          unshare(CLONE_FILES);
          for (;;) sleep_long();
        }).detach();
        std::this_thread::sleep_for(std::chrono::milliseconds(20));
      },
      sleep_long);
  const Outcome outcome = collect(child);
  REQUIRE(outcome.refusals.lines().size() == 1);
  CHECK(outcome.refusals.lines()[0].find("descriptor table of its own") != std::string::npos);
}

}  // namespace
}  // namespace cryostat::task
