// eventfd, timerfd, signalfd, memfd with seals, and epoll with watches on them (edge, oneshot,
// data, nested numbers).
#include <signal.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/signalfd.h>
#include <sys/timerfd.h>

#include <map>

#include "tests/victims/victim.h"

namespace {

void watch(victim::Victim& self, int epoll, int fd, uint32_t events, uint64_t data) {
  epoll_event event{events, {}};
  event.data.u64 = data;
  self.must(epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event) == 0, "epoll_ctl");
}

std::map<uint64_t, uint32_t> ready_now(int epoll) {
  epoll_event events[16];
  std::map<uint64_t, uint32_t> found;
  const int count = epoll_wait(epoll, events, 16, 0);
  for (int i = 0; i < count; ++i) found[events[i].data.u64] = events[i].events;
  return found;
}

}  // namespace

int main(int argc, char** argv) {
  victim::Victim self(argc, argv);
  const int counter = eventfd(41, EFD_CLOEXEC | EFD_NONBLOCK);
  const int semaphore = eventfd(3, EFD_SEMAPHORE | EFD_NONBLOCK);
  const int silent = eventfd(0, EFD_NONBLOCK);

  const int timer = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
  const itimerspec when{{30, 0}, {900, 0}};
  timerfd_settime(timer, 0, &when, nullptr);
  const int ticked = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK);
  const itimerspec fast{{1000, 0}, {0, 1'000'000}};
  timerfd_settime(ticked, 0, &fast, nullptr);
  const int absolute = timerfd_create(CLOCK_REALTIME, TFD_NONBLOCK);
  timespec now{};
  clock_gettime(CLOCK_REALTIME, &now);
  const itimerspec later{{0, 0}, {now.tv_sec + 5000, 0}};
  timerfd_settime(absolute, TFD_TIMER_ABSTIME, &later, nullptr);
  const int unarmed = timerfd_create(CLOCK_BOOTTIME, TFD_NONBLOCK);

  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGUSR2);
  sigaddset(&signals, SIGRTMIN + 6);
  sigprocmask(SIG_BLOCK, &signals, nullptr);
  const int signal_fd = signalfd(-1, &signals, SFD_NONBLOCK | SFD_CLOEXEC);
  kill(getpid(), SIGUSR2);

  const int sealed = memfd_create("sealed", MFD_CLOEXEC | MFD_ALLOW_SEALING);
  self.must(write(sealed, "sealed text", 11) == 11 &&
                fcntl(sealed, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_WRITE) == 0,
            "seals");
  const int memfd = memfd_create("open", MFD_ALLOW_SEALING);
  self.must(write(memfd, "text", 4) == 4, "memfd");
  lseek(memfd, 2, SEEK_SET);
  const int reopened =
      open(("/proc/self/fd/" + std::to_string(memfd)).c_str(), O_RDONLY | O_CLOEXEC);

  const int epoll = epoll_create1(EPOLL_CLOEXEC);
  watch(self, epoll, counter, EPOLLIN, 0x1122334455667788);
  watch(self, epoll, silent, EPOLLIN | EPOLLET, 2);
  watch(self, epoll, timer, EPOLLIN, 3);
  watch(self, epoll, ticked, EPOLLIN | EPOLLONESHOT, 4);
  watch(self, epoll, signal_fd, EPOLLIN, 5);
  const int outer = epoll_create1(0);
  watch(self, outer, epoll, EPOLLIN, 6);
  while (ready_now(outer).empty()) victim::Victim::pause_ms(1);
  victim::Victim::pause_ms(3);

  self.ready_and_wait();

  auto found = ready_now(epoll);
  self.expect(
      found.size() == 3 && found.count(0x1122334455667788) && found.count(4) && found.count(5),
      "%zu watches ready", found.size());
  self.expect(ready_now(outer).count(6) == 1, "epoll inside epoll");
  const uint64_t one = 1;
  self.expect(write(silent, &one, 8) == 8 && ready_now(epoll).count(2) == 1,
              "watch of a silent eventfd");

  uint64_t value = 0;
  self.expect(read(counter, &value, 8) == 8 && value == 41, "eventfd holds %lu", value);
  for (int i = 0; i < 3; ++i)
    self.expect(read(semaphore, &value, 8) == 8 && value == 1, "semaphore step %d", i);
  self.expect(read(semaphore, &value, 8) < 0 && errno == EAGAIN, "semaphore holds more");
  self.expect_equal("flags of eventfd", O_RDWR | O_NONBLOCK, fcntl(counter, F_GETFL));
  self.expect_equal("CLOEXEC of eventfd", FD_CLOEXEC, fcntl(counter, F_GETFD));

  itimerspec left{};
  timerfd_gettime(timer, &left);
  self.expect(
      left.it_value.tv_sec > 800 && left.it_value.tv_sec < 900 && left.it_interval.tv_sec == 30,
      "timerfd: %ld s", left.it_value.tv_sec);
  self.expect(read(ticked, &value, 8) == 8 && value == 1, "unread expirations: %lu", value);
  timerfd_gettime(absolute, &left);
  clock_gettime(CLOCK_REALTIME, &now);
  const time_t expected = later.it_value.tv_sec - now.tv_sec;
  self.expect(left.it_value.tv_sec >= expected - 2 && left.it_value.tv_sec <= expected + 2,
              "absolute timerfd: %ld s, expected %ld s", left.it_value.tv_sec, expected);
  timerfd_gettime(unarmed, &left);
  self.expect(left.it_value.tv_sec == 0 && left.it_value.tv_nsec == 0, "an unarmed timerfd runs");

  signalfd_siginfo info{};
  self.expect(read(signal_fd, &info, sizeof(info)) == sizeof(info) && info.ssi_signo == SIGUSR2,
              "signalfd");

  self.expect_equal("seals", F_SEAL_SHRINK | F_SEAL_WRITE, fcntl(sealed, F_GET_SEALS));
  char text[16] = "";
  self.expect(pread(sealed, text, 11, 0) == 11 && strcmp(text, "sealed text") == 0,
              "content of the sealed memfd");
  self.expect(pwrite(sealed, "x", 1, 0) < 0 && errno == EPERM, "the sealed memfd can be written");
  self.expect_equal("position of the memfd", 2, lseek(memfd, 0, SEEK_CUR));
  self.expect_equal("position of its second open", 0, lseek(reopened, 0, SEEK_CUR));
  self.expect(pwrite(memfd, "T", 1, 0) == 1 && read(reopened, text, 1) == 1 && text[0] == 'T',
              "two opens of one memfd part");
  self.expect(write(reopened, "x", 1) < 0, "the second open can write");
  return self.finish();
}
