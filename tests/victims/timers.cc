// Timers with their remaining time: the three interval timers, POSIX timers on several clocks with
// every way to notify, ids that have gaps, disarmed ones.
#include <signal.h>
#include <sys/syscall.h>
#include <sys/time.h>

#include "tests/victims/victim.h"

namespace {

long long left_ms(int id) {
  itimerspec now{};
  if (syscall(SYS_timer_gettime, id, &now) != 0) return -1;
  return now.it_value.tv_sec * 1000LL + now.it_value.tv_nsec / 1'000'000;
}

long long interval_ms(int id) {
  itimerspec now{};
  syscall(SYS_timer_gettime, id, &now);
  return now.it_interval.tv_sec * 1000LL + now.it_interval.tv_nsec / 1'000'000;
}

int create(victim::Victim& self, clockid_t clock, int notify, int number, int value) {
  sigevent event{};
  event.sigev_notify = notify;
  event.sigev_signo = number;
  event.sigev_value.sival_int = value;
  if (notify == SIGEV_THREAD_ID) event._sigev_un._tid = gettid();
  int id = -1;
  self.must(syscall(SYS_timer_create, clock, &event, &id) == 0, "timer_create");
  return id;
}

void arm(victim::Victim& self, int id, long seconds, long interval_seconds) {
  const itimerspec when{{interval_seconds, 0}, {seconds, 0}};
  self.must(syscall(SYS_timer_settime, id, 0, &when, nullptr) == 0, "timer_settime");
}

}  // namespace

int main(int argc, char** argv) {
  victim::Victim self(argc, argv);
  sigset_t blocked;
  sigemptyset(&blocked);
  for (int number : {SIGALRM, SIGVTALRM, SIGPROF, SIGRTMIN + 1, SIGRTMIN + 2})
    sigaddset(&blocked, number);
  sigprocmask(SIG_BLOCK, &blocked, nullptr);

  const itimerval real{{50, 0}, {100, 500}}, virtual_time{{60, 0}, {70, 0}},
      profile{{0, 0}, {80, 0}};
  setitimer(ITIMER_REAL, &real, nullptr);
  setitimer(ITIMER_VIRTUAL, &virtual_time, nullptr);
  setitimer(ITIMER_PROF, &profile, nullptr);

  const int first = create(self, CLOCK_MONOTONIC, SIGEV_SIGNAL, SIGRTMIN + 1, 11);
  const int gap = create(self, CLOCK_MONOTONIC, SIGEV_NONE, 0, 0);
  const int third = create(self, CLOCK_REALTIME, SIGEV_THREAD_ID, SIGRTMIN + 2, 33);
  const int disarmed = create(self, CLOCK_BOOTTIME, SIGEV_NONE, 0, 0);
  const int cpu = create(self, CLOCK_PROCESS_CPUTIME_ID, SIGEV_SIGNAL, SIGRTMIN + 1, 44);
  const int ticking = create(self, CLOCK_MONOTONIC, SIGEV_SIGNAL, SIGRTMIN + 2, 55);
  syscall(SYS_timer_delete, gap);
  arm(self, first, 1000, 7);
  arm(self, third, 2000, 0);
  arm(self, cpu, 500, 0);

  self.ready_and_wait();

  itimerval now{};
  getitimer(ITIMER_REAL, &now);
  self.expect(
      now.it_value.tv_sec > 40 && now.it_value.tv_sec <= 100 && now.it_interval.tv_sec == 50,
      "real timer: %ld s left", now.it_value.tv_sec);
  getitimer(ITIMER_VIRTUAL, &now);
  self.expect(now.it_value.tv_sec > 60 && now.it_interval.tv_sec == 60, "virtual timer: %ld s left",
              now.it_value.tv_sec);
  getitimer(ITIMER_PROF, &now);
  self.expect(now.it_value.tv_sec > 70 && now.it_interval.tv_sec == 0,
              "profiling timer: %ld s left", now.it_value.tv_sec);

  self.expect(left_ms(first) > 900'000 && left_ms(first) <= 1'000'000 && interval_ms(first) == 7000,
              "first: %lld ms", left_ms(first));
  self.expect(left_ms(gap) == -1, "a deleted timer is back");
  self.expect(left_ms(third) > 1'900'000 && left_ms(third) <= 2'000'000, "third: %lld ms",
              left_ms(third));
  self.expect(left_ms(disarmed) == 0, "disarmed: %lld ms", left_ms(disarmed));
  self.expect(left_ms(cpu) > 400'000 && left_ms(cpu) <= 500'000, "CPU timer: %lld ms",
              left_ms(cpu));

  // They still do what they were made for.
  const itimerspec soon{{0, 0}, {0, 1'000'000}};
  syscall(SYS_timer_settime, third, 0, &soon, nullptr);
  syscall(SYS_timer_settime, first, 0, &soon, nullptr);
  sigset_t wanted;
  sigemptyset(&wanted);
  sigaddset(&wanted, SIGRTMIN + 1);
  sigaddset(&wanted, SIGRTMIN + 2);
  int seen = 0;
  for (int i = 0; i < 2; ++i) {
    const timespec limit{2, 0};
    siginfo_t info{};
    const int number = sigtimedwait(&wanted, &info, &limit);
    if (number == SIGRTMIN + 1 && info.si_value.sival_int == 11 && info.si_timerid == first)
      seen |= 1;
    if (number == SIGRTMIN + 2 && info.si_value.sival_int == 33 && info.si_timerid == third)
      seen |= 2;
  }
  self.expect_equal("timers that fired", 3, seen);
  self.expect(left_ms(ticking) == 0, "an unarmed timer runs");
  const int next = create(self, CLOCK_MONOTONIC, SIGEV_NONE, 0, 0);
  self.expect(next > ticking || next == gap, "the next timer id is %d", next);
  return self.finish();
}
