// The restorer's state code, built hosted: children put state on themselves and look at it.
#include <linux/capability.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cstring>
#include <functional>

#include "engine/task/credentials.h"
#include "engine/task/scheduling.h"
#include "engine/task/signals.h"
#include "engine/task/start_state.h"
#include "engine/task/state_detail.h"
#include "engine/task/state_plan.h"
#include "engine/task/thread_attributes.h"
#include "parasite/task_state.h"
#include "parasite/thread_state.h"
#include "proto/mm.pb.h"
#include "proto/task.pb.h"
#include "restorer/task_state.h"
#include "restorer/thread_state.h"
#include "tests/support/catch.h"

namespace cryostat::task {
namespace {

// Runs `work` in a child; its return value (0: as wanted, else a line number modulo 250, plus 1) is
// the child's exit status.
int in_child(const std::function<int()>& work) {
  const pid_t child = fork();
  if (child == 0) {
    sigset_t all;
    sigfillset(&all);
    sigprocmask(SIG_SETMASK, &all, nullptr);
    _exit(work());
  }
  int status = 0;
  waitpid(child, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + WTERMSIG(status);
}

#define WANT(condition) \
  if (!(condition)) return __LINE__ % 250 + 1

// The image of the calling thread as it is now.
pb::Thread own_image() {
  const StartState start = *read_start_state();
  pb::Thread image;
  image.set_tid(getpid());
  save_thread_attributes(start.thread, image);
  save_scheduling(start.thread, *image.mutable_scheduling());
  save_credentials(start.thread, start.groups, *image.mutable_credentials());
  return image;
}

// Applies `image` to the calling thread; -errno or 0.
int apply(const pb::Thread& image) {
  const StartState start = *read_start_state();
  WireArena arena;
  pb::Task task;
  task.set_pid(getpid());
  wire::ThreadState state;
  if (!fill_thread_state(task, image, 0, start, arena, state)) return -1;
  uint64_t detail = 0;
  return restorer::apply_thread_state(state, const_cast<unsigned char*>(arena.bytes().data()),
                                      &detail);
}

int apply_task(const pb::Task& image, const pb::AddressSpace& space) {
  const StartState start = *read_start_state();
  WireArena arena;
  wire::TaskState state;
  std::vector<pb::Thread> threads(1);
  if (!fill_task_state(image, threads, space, start, arena, state)) return -1;
  void* base = const_cast<unsigned char*>(arena.bytes().data());
  uint64_t detail = 0;
  if (const int error = restorer::apply_task_state(state, base, &detail)) return error;
  return restorer::finish_task_state(state, base, &detail);
}

TEST_CASE("state that is already there needs no call") {
  const StartState start = *read_start_state();
  WireArena arena;
  wire::ThreadState state;
  REQUIRE(fill_thread_state(pb::Task(), own_image(), 0, start, arena, state));
  // libc's own robust list is a pointer, set whenever there is one.
  CHECK((state.calls & ~static_cast<uint64_t>(wire::kSetRobustList)) == 0);
}

TEST_CASE("ids, groups and the five capability sets come back") {
  if (geteuid() != 0) return;
  CHECK(in_child([] {
          pb::Thread image = own_image();
          pb::Credentials& wanted = *image.mutable_credentials();
          wanted.set_uid(1000);
          wanted.set_euid(1001);
          wanted.set_suid(1002);
          wanted.set_fsuid(1003);
          wanted.set_gid(2000);
          wanted.set_egid(2001);
          wanted.set_sgid(2002);
          wanted.set_fsgid(2003);
          wanted.clear_groups();
          wanted.add_groups(7);
          wanted.add_groups(3);
          const uint64_t net_raw = 1ull << CAP_NET_RAW;
          const uint64_t kill_cap = 1ull << CAP_KILL;
          wanted.set_cap_permitted(net_raw | kill_cap);
          wanted.set_cap_effective(kill_cap);
          wanted.set_cap_inheritable(net_raw | 1ull << CAP_CHOWN);
          wanted.set_cap_ambient(net_raw);
          wanted.set_cap_bounding(wanted.cap_bounding() & ~(1ull << CAP_CHOWN));
          wanted.set_securebits(0);
          wanted.set_no_new_privs(true);
          image.set_parent_death_signal(SIGUSR1);
          WANT(apply(image) == 0);
          const pb::Thread now = own_image();
          pb::Credentials found = now.credentials();
          // The kernel sorts groups.
          wanted.clear_groups();
          wanted.add_groups(3);
          wanted.add_groups(7);
          WANT(found.SerializeAsString() == wanted.SerializeAsString());
          WANT(now.parent_death_signal() == SIGUSR1);
          return 0;
        }) == 0);
}

TEST_CASE("securebits are set last and stay locked") {
  if (geteuid() != 0) return;
  CHECK(in_child([] {
          pb::Thread image = own_image();
          image.mutable_credentials()->set_uid(1000);
          image.mutable_credentials()->set_securebits(0x2f);  // all but keep-caps, locked
          image.mutable_credentials()->set_cap_effective(0);
          WANT(apply(image) == 0);
          WANT(prctl(PR_GET_SECUREBITS) == 0x2f);
          return 0;
        }) == 0);
}

TEST_CASE("name, scheduling, slack and affinity come back") {
  CHECK(in_child([] {
          pb::Thread image = own_image();
          image.set_comm("frozen");
          image.mutable_scheduling()->set_policy(SCHED_BATCH);
          image.mutable_scheduling()->set_nice(7);
          image.mutable_scheduling()->set_runtime_ns(0);
          image.mutable_scheduling()->set_timer_slack_ns(123456);
          image.mutable_scheduling()->set_io_priority(2 << 13 | 6);
          image.mutable_scheduling()->set_affinity(std::string("\x01", 1));
          WANT(apply(image) == 0);
          const pb::Thread now = own_image();
          WANT(now.comm() == "frozen");
          WANT(now.scheduling().policy() == SCHED_BATCH);
          WANT(now.scheduling().nice() == 7);
          WANT(now.scheduling().timer_slack_ns() == 123456);
          WANT(now.scheduling().io_priority() == (2 << 13 | 6));
          WANT(now.scheduling().affinity()[0] == 1);
          return 0;
        }) == 0);
}

TEST_CASE("the nice value of a thread whose policy does not use it comes back") {
  CHECK(in_child([] {
          pb::Thread image = own_image();
          image.mutable_scheduling()->set_policy(SCHED_IDLE);
          image.mutable_scheduling()->set_nice(9);
          image.mutable_scheduling()->set_runtime_ns(0);
          WANT(apply(image) == 0);
          WANT(getpriority(PRIO_PROCESS, 0) == 9);
          const pb::Thread now = own_image();
          WANT(now.scheduling().policy() == SCHED_IDLE);
          WANT(now.scheduling().nice() == 9);
          return 0;
        }) == 0);
}

TEST_CASE("an alternate stack comes back") {
  CHECK(in_child([] {
          static char stack_memory[65536];
          pb::Thread image = own_image();
          image.mutable_alternate_stack()->set_address(reinterpret_cast<uint64_t>(stack_memory));
          image.mutable_alternate_stack()->set_size_bytes(sizeof(stack_memory));
          WANT(apply(image) == 0);
          stack_t now{};
          sigaltstack(nullptr, &now);
          WANT(now.ss_sp == stack_memory);
          WANT(now.ss_size == sizeof(stack_memory));
          return 0;
        }) == 0);
}

siginfo_t make_info(int number, int code, int value) {
  siginfo_t info{};
  info.si_signo = number;
  info.si_code = code;
  info.si_pid = 4242;
  info.si_value.sival_int = value;
  return info;
}

TEST_CASE("pending signals come back in order, with what they carried") {
  CHECK(in_child([] {
          const std::vector<siginfo_t> shared = {make_info(SIGRTMIN, SI_QUEUE, 1),
                                                 make_info(SIGRTMIN, SI_QUEUE, 2),
                                                 make_info(SIGUSR1, SI_USER, 0)};
          const std::vector<siginfo_t> own = {make_info(SIGRTMIN + 1, SI_TKILL, 9),
                                              make_info(SIGSTOP, SI_USER, 0)};
          pb::Task task;
          task.set_pid(getpid());
          pb::SignalAction& action = *task.add_actions();
          action.set_number(SIGUSR1);
          action.set_handler(1);  // SIG_IGN: set first, it must not discard what is pending
          WANT(0 == save_queue(shared, *task.mutable_pending()));
          pb::Thread image = own_image();
          WANT(save_queue(own, *image.mutable_pending()) == 1ull << (SIGSTOP - 1));
          WANT(image.pending_size() == 1);
          WANT(apply(image) == 0);
          pb::AddressSpace space;
          space.set_dumpable(1);
          WANT(apply_task(task, space) == 0);
          struct sigaction now {};
          sigaction(SIGUSR1, nullptr, &now);
          WANT(now.sa_handler == SIG_IGN);
          sigset_t realtime;
          sigemptyset(&realtime);
          sigaddset(&realtime, SIGRTMIN);
          sigaddset(&realtime, SIGRTMIN + 1);
          const timespec none{};
          // A thread takes its own signals before the shared ones.
          for (const int value : {9, 1, 2}) {
            siginfo_t info{};
            WANT(sigtimedwait(&realtime, &info, &none) >= SIGRTMIN);
            WANT(info.si_value.sival_int == value);
            WANT(info.si_pid == 4242);
          }
          return 0;
        }) == 0);
}

TEST_CASE("timers come back under their ids with their time left") {
  CHECK(in_child([] {
          pb::Task task;
          task.set_pid(getpid());
          for (const uint32_t id : {3u, 5u, 12u}) {
            pb::PosixTimer& timer = *task.add_posix_timers();
            timer.set_id(id);
            timer.set_clock_id(CLOCK_MONOTONIC);
            timer.set_notify(SIGEV_SIGNAL);
            timer.set_signal(SIGUSR2);
            timer.set_value(id * 100);
            timer.set_interval_ns(7'000'000'000);
            timer.set_remaining_ns(id == 5 ? 0 : 90'000'000'000);
          }
          pb::IntervalTimer& real = *task.add_interval_timers();
          real.set_which(ITIMER_REAL);
          real.set_interval_us(2'500'000);
          real.set_remaining_us(60'000'000);
          pb::ResourceLimit& limit = *task.add_limits();
          limit.set_resource(RLIMIT_NOFILE);
          limit.set_soft(33);
          limit.set_hard(44);
          pb::AddressSpace space;
          space.set_dumpable(0);
          WANT(apply_task(task, space) == 0);
          itimerspec left{};
          WANT(syscall(SYS_timer_gettime, 12, &left) == 0);
          WANT(left.it_value.tv_sec >= 85 && left.it_value.tv_sec <= 90);
          WANT(left.it_interval.tv_sec == 7);
          WANT(syscall(SYS_timer_gettime, 5, &left) == 0);
          WANT(left.it_value.tv_sec == 0 && left.it_value.tv_nsec == 0);
          WANT(syscall(SYS_timer_gettime, 4, &left) == -1);
          itimerval now{};
          getitimer(ITIMER_REAL, &now);
          WANT(now.it_interval.tv_usec == 500000 && now.it_value.tv_sec >= 55);
          rlimit files{};
          getrlimit(RLIMIT_NOFILE, &files);
          WANT(files.rlim_cur == 33 && files.rlim_max == 44);
          WANT(prctl(PR_GET_DUMPABLE) == 0);
          return 0;
        }) == 0);
}

TEST_CASE("a failed call is named") {
  CHECK(in_child([] {
          pb::Thread image = own_image();
          image.mutable_scheduling()->set_policy(77);
          return apply(image) == -EINVAL ? 0 : 1;
        }) == 0);
  CHECK(describe_state_detail(wire::state_detail(wire::StateCall::kTimerCreate, 3)) ==
        "create POSIX timer 3");
  CHECK(describe_state_detail(wire::state_detail(wire::StateCall::kBounding, CAP_SYS_ADMIN)) ==
        "drop CAP_SYS_ADMIN from the bounding set");
  for (uint32_t call = 0; call <= static_cast<uint32_t>(wire::StateCall::kCount); ++call)
    CHECK_FALSE(describe_state_detail(static_cast<uint64_t>(call) << 32).empty());
}

TEST_CASE("a whole task tells its handlers and timers") {
  CHECK(in_child([] {
          struct sigaction action {};
          action.sa_handler = SIG_IGN;
          action.sa_flags = SA_RESTART;
          sigaction(SIGUSR1, &action, nullptr);
          static wire::TaskStateReport report;
          WANT(parasite::collect_task_state(&report) == 0);
          WANT(report.error == 0);
          WANT(report.program_break == reinterpret_cast<uint64_t>(sbrk(0)));
          pb::Task task;
          save_actions(report, task);
          bool found = false;
          for (const auto& saved : task.actions())
            found |= saved.number() == SIGUSR1 && saved.handler() == 1 &&
                     (saved.flags() & SA_RESTART) != 0;
          WANT(found);
          report.posix_timer_count = wire::kReportTimers + 1;
          WANT(parasite::collect_task_state(&report) == -EINVAL);
          return 0;
        }) == 0);
}

}  // namespace
}  // namespace cryostat::task
