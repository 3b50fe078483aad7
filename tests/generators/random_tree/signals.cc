#include "tests/generators/random_tree/signals.h"

#include <sys/syscall.h>
#include <sys/time.h>
#include <unistd.h>

#include <csignal>

namespace random_tree {
namespace {

// Those that are sent; by default they would end a process, so all members handle or block them.
const std::vector<int> kSignals = {SIGUSR1, SIGUSR2,      SIGHUP,       SIGURG,
                                   SIGIO,   SIGRTMIN + 1, SIGRTMIN + 2, SIGRTMIN + 9};

volatile sig_atomic_t g_handled[128];

void count_one(int number) { g_handled[number] = g_handled[number] + 1; }
void count_two(int number, siginfo_t*, void*) { g_handled[number] = g_handled[number] + 2; }

}  // namespace

// Each of them is either handled or ignored from the first call on.
void change_signal_action(Random& random) {
  for (const int number : kSignals) {
    struct sigaction action {};
    sigaction(number, nullptr, &action);
    const bool untouched = action.sa_handler == SIG_DFL;
    if (!untouched && !random.chance(20)) continue;
    action = {};
    action.sa_flags = random.chance(50) ? SA_RESTART : 0;
    if (random.chance(30)) {
      action.sa_flags |= SA_SIGINFO | SA_NODEFER;
      action.sa_sigaction = count_two;
    } else {
      action.sa_handler = random.chance(20) ? SIG_IGN : count_one;
    }
    sigaddset(&action.sa_mask, random.pick(kSignals));
    sigaction(number, &action, nullptr);
  }
}

void block_signals(Random& random) {
  sigset_t set;
  sigemptyset(&set);
  for (const int number : kSignals)
    if (random.chance(40)) sigaddset(&set, number);
  if (random.chance(20)) sigaddset(&set, SIGCHLD);
  sigprocmask(SIG_BLOCK, &set, nullptr);
}

void send_signal(Random& random, pid_t to) {
  const int number = random.pick(kSignals);
  sigval value{};
  value.sival_int = static_cast<int>(random.below(1'000'000));
  if (random.chance(50))
    sigqueue(to, number, value);
  else
    kill(to, number);
}

void look_at_signals(Report& report) {
  sigset_t mask, pending;
  sigprocmask(SIG_BLOCK, nullptr, &mask);
  sigpending(&pending);
  for (int number = 1; number < SIGRTMAX; ++number) {
    struct sigaction action {};
    if (sigaction(number, nullptr, &action) != 0) continue;
    const bool plain = action.sa_handler == SIG_DFL && sigismember(&mask, number) == 0;
    if (plain) continue;
    report.line("signal %d handler %p flags %x blocked %d pending %d handled %d", number,
                reinterpret_cast<void*>(action.sa_handler), action.sa_flags,
                sigismember(&mask, number), sigismember(&pending, number), g_handled[number]);
  }
}

void drain_signals(Report& report) {
  sigset_t mask;
  sigprocmask(SIG_BLOCK, nullptr, &mask);
  siginfo_t info{};
  const timespec now{};
  while (sigtimedwait(&mask, &info, &now) > 0)
    report.line("signal %d code %d from %d value %d", info.si_signo, info.si_code, info.si_pid,
                info.si_value.sival_int);
}

void Timers::add(Random& random) {
  const itimerspec when{{random.chance(50) ? 7000 : 0, 0},
                        {static_cast<time_t>(1500 + 1000 * random.below(5)), 0}};
  if (random.chance(30)) {
    const itimerval real{{0, 0}, {when.it_value.tv_sec, 0}};
    setitimer(random.chance(60) ? ITIMER_REAL : ITIMER_VIRTUAL, &real, nullptr);
    return;
  }
  sigevent event{};
  event.sigev_notify = random.chance(30) ? SIGEV_NONE : SIGEV_SIGNAL;
  event.sigev_signo = random.pick(kSignals);
  event.sigev_value.sival_int = static_cast<int>(random.below(1000));
  int id = -1;
  if (syscall(SYS_timer_create, random.chance(50) ? CLOCK_MONOTONIC : CLOCK_REALTIME, &event,
              &id) != 0)
    return;
  if (random.chance(80)) syscall(SYS_timer_settime, id, 0, &when, nullptr);
  ids_.push_back(id);
}

// Of time left the thousands of seconds.
void Timers::look(Report& report) const {
  for (const int which : {ITIMER_REAL, ITIMER_VIRTUAL}) {
    itimerval left{};
    getitimer(which, &left);
    report.line("interval timer %d left %ld", which, left.it_value.tv_sec / 1000);
  }
  for (const int id : ids_) {
    itimerspec left{};
    const long result = syscall(SYS_timer_gettime, id, &left);
    report.line("timer %d: %ld left %ld interval %ld", id, result, left.it_value.tv_sec / 1000,
                left.it_interval.tv_sec);
  }
}

}  // namespace random_tree
