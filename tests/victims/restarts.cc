// System calls that are under way at the freeze go on with the time they have left: nanosleep with
// and without a remainder, absolute and relative clock_nanosleep, poll, futex, epoll_wait, and
// those that never end by themselves. Time spent in the checkpoint does not count for relative
// sleeps.
#include <linux/futex.h>
#include <poll.h>
#include <pthread.h>
#include <sys/epoll.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include <atomic>
#include <csignal>
#include <vector>

#include "tests/victims/victim.h"

namespace {

constexpr long kSleepMs = 3000;
std::atomic<int> started{0};
uint32_t never = 0;
int quiet_pipe[2];

struct Sleep {
  const char* name;
  long (*call)();
  long result = -1;
  int error = 0;
  std::atomic<bool> done{false};
};

timespec span(long milliseconds) { return {milliseconds / 1000, milliseconds % 1000 * 1'000'000}; }

long sleep_plain() {
  const auto t = span(kSleepMs);
  return syscall(SYS_nanosleep, &t, nullptr);
}
long sleep_remainder() {
  const auto t = span(kSleepMs);
  timespec left{};
  return syscall(SYS_nanosleep, &t, &left);
}
long sleep_clock() {
  const auto t = span(kSleepMs);
  return syscall(SYS_clock_nanosleep, CLOCK_BOOTTIME, 0, &t, nullptr);
}
long sleep_absolute() {
  timespec t{};
  clock_gettime(CLOCK_MONOTONIC, &t);
  t.tv_sec += kSleepMs / 1000;
  return syscall(SYS_clock_nanosleep, CLOCK_MONOTONIC, TIMER_ABSTIME, &t, nullptr);
}
long wait_poll() {
  pollfd fd{quiet_pipe[0], POLLIN, 0};
  return syscall(SYS_poll, &fd, 1, kSleepMs);
}
long wait_futex() {
  const auto t = span(kSleepMs);
  const long result = syscall(SYS_futex, &never, FUTEX_WAIT_PRIVATE, 0, &t, nullptr, 0);
  return result < 0 && errno == ETIMEDOUT ? 0 : -1;
}

// Through the C library: only its code is known not to look at the limit again. Not late either.
long timed(const std::function<int()>& wait) {
  const long long start = victim::now_ms();
  const int result = wait();
  const long long took = victim::now_ms() - start;
  const bool early = took < kSleepMs - kSleepMs / 20;
  if (result == 0 && early) errno = ETIME;
  return result == 0 && early ? -1 : result;
}
long wait_epoll() {
  const int epoll = epoll_create1(EPOLL_CLOEXEC);
  epoll_event event{};
  return timed([&] { return epoll_wait(epoll, &event, 1, kSleepMs); });
}
long wait_epoll_signals() {
  const int epoll = epoll_create1(EPOLL_CLOEXEC);
  epoll_event event{};
  sigset_t mask;
  sigemptyset(&mask);
  return timed([&] { return epoll_pwait(epoll, &event, 1, kSleepMs, &mask); });
}

void* body(void* argument) {
  auto& sleep = *static_cast<Sleep*>(argument);
  ++started;
  sleep.result = sleep.call();
  sleep.error = errno;
  sleep.done = true;
  return nullptr;
}

// Blocked until the end: read of an empty pipe, sigwait, pause-like waits.
std::atomic<bool> read_done{false};
void* read_body(void*) {
  char byte = 0;
  ++started;
  if (read(quiet_pipe[0], &byte, 1) == 1 && byte == 'x') read_done = true;
  return nullptr;
}

}  // namespace

int main(int argc, char** argv) {
  victim::Victim self(argc, argv);
  self.must(pipe2(quiet_pipe, O_CLOEXEC) == 0, "pipe2");
  static Sleep sleeps[] = {{"nanosleep", sleep_plain},
                           {"nanosleep with remainder", sleep_remainder},
                           {"clock_nanosleep", sleep_clock},
                           {"absolute clock_nanosleep", sleep_absolute},
                           {"poll", wait_poll},
                           {"futex", wait_futex},
                           {"epoll_wait", wait_epoll},
                           {"epoll_pwait", wait_epoll_signals}};
  std::vector<pthread_t> threads(std::size(sleeps));
  for (size_t i = 0; i < std::size(sleeps); ++i)
    self.must(pthread_create(&threads[i], nullptr, body, &sleeps[i]) == 0, "thread");
  pthread_t reader;
  self.must(pthread_create(&reader, nullptr, read_body, nullptr) == 0, "thread");
  while (started != static_cast<int>(std::size(sleeps)) + 1) victim::Victim::pause_ms(1);
  self.ready_and_wait();

  // The verdict is asked for at any time; sleeps may be over or not. They must end well, and not
  // late.
  const long long deadline = victim::now_ms() + kSleepMs + 500;
  for (size_t i = 0; i < std::size(sleeps); ++i) {
    while (!sleeps[i].done && victim::now_ms() < deadline) victim::Victim::pause_ms(5);
    if (!self.expect(sleeps[i].done, "%s is still asleep", sleeps[i].name)) continue;
    pthread_join(threads[i], nullptr);
    self.expect(sleeps[i].result == 0, "%s returned %ld errno %d", sleeps[i].name, sleeps[i].result,
                sleeps[i].error);
  }
  self.must(write(quiet_pipe[1], "x", 1) == 1, "write");
  pthread_join(reader, nullptr);
  self.expect(read_done, "the blocked read returned something else");
  return self.finish();
}
