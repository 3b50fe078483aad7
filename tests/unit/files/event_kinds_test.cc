// Devices without state, eventfds, timerfds, signalfds, epoll: opened in one process, restored in
// another.
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <sys/timerfd.h>

#include "tests/unit/files/roundtrip.h"

namespace cryostat::files {
namespace {

TEST_CASE("stateless devices come back") {
  CHECK(roundtrip(
            [] {
              open("/dev/zero", O_RDONLY);     // 3
              open("/dev/full", O_WRONLY);     // 4
              open("/dev/urandom", O_RDONLY);  // 5
              open("/dev/random", O_RDONLY);   // 6
            },
            []() -> std::string {
              EXPECT(link_of(3) == "/dev/zero");
              EXPECT(link_of(4) == "/dev/full");
              EXPECT(link_of(5) == "/dev/urandom");
              EXPECT(link_of(6) == "/dev/random");
              return "";
            }) == kNothingWrong);
}

TEST_CASE("eventfds come back") {
  CHECK(roundtrip(
            [] {
              eventfd(0, EFD_CLOEXEC);    // 3
              eventfd(5, EFD_SEMAPHORE);  // 4
              const uint64_t large = 0xfffffffffffffffeULL;
              eventfd(0, EFD_NONBLOCK);  // 5
              (void)!write(5, &large, 8);
            },
            []() -> std::string {
              uint64_t value = 0;
              EXPECT(fcntl(3, F_GETFD) == FD_CLOEXEC);
              EXPECT((fcntl(3, F_GETFL) & O_NONBLOCK) == 0);
              EXPECT(read(4, &value, 8) == 8 && value == 1);
              EXPECT(read(4, &value, 8) == 8 && value == 1);
              EXPECT(read(5, &value, 8) == 8 && value == 0xfffffffffffffffeULL);
              EXPECT(read(5, &value, 8) == -1 && errno == EAGAIN);
              return "";
            }) == kNothingWrong);
}

TEST_CASE("timerfds come back with the time left and unread expirations") {
  CHECK(roundtrip(
            [] {
              timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK);  // 3: long periodic
              struct itimerspec spec = {{50, 0}, {1000, 0}};
              timerfd_settime(3, 0, &spec, nullptr);
              timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK);  // 4: expired once, unread
              spec = {{0, 0}, {0, 1}};
              timerfd_settime(4, 0, &spec, nullptr);
              timerfd_create(CLOCK_REALTIME, TFD_NONBLOCK);  // 5: at a moment
              spec = {{0, 0}, {4102444800, 0}};
              timerfd_settime(5, TFD_TIMER_ABSTIME, &spec, nullptr);
              timerfd_create(CLOCK_BOOTTIME, TFD_NONBLOCK);   // 6: never armed
              timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK);  // 7: periodic, long expired
              spec = {{1000, 0}, {0, 1}};
              timerfd_settime(7, 0, &spec, nullptr);
              usleep(2000);
            },
            []() -> std::string {
              struct itimerspec spec;
              uint64_t ticks = 0;
              EXPECT(timerfd_gettime(3, &spec) == 0 && spec.it_interval.tv_sec == 50);
              EXPECT(spec.it_value.tv_sec >= 990 && spec.it_value.tv_sec < 1000);
              EXPECT(read(3, &ticks, 8) == -1 && errno == EAGAIN);
              EXPECT(read(4, &ticks, 8) == 8 && ticks == 1);
              struct timespec now;
              clock_gettime(CLOCK_REALTIME, &now);
              EXPECT(timerfd_gettime(5, &spec) == 0);
              EXPECT(std::abs(now.tv_sec + spec.it_value.tv_sec - 4102444800) <= 1);
              EXPECT(timerfd_gettime(6, &spec) == 0 && spec.it_value.tv_sec == 0);
              EXPECT(timerfd_gettime(7, &spec) == 0 && spec.it_value.tv_sec >= 990);
              EXPECT(read(7, &ticks, 8) == 8 && ticks == 1);
              return "";
            }) == kNothingWrong);
}

TEST_CASE("signalfds come back") {
  CHECK(roundtrip(
            [] {
              sigset_t set;
              sigemptyset(&set);
              sigaddset(&set, SIGUSR1);
              sigaddset(&set, SIGRTMAX);
              signalfd(-1, &set, SFD_NONBLOCK);  // 3
            },
            []() -> std::string {
              sigset_t set;
              sigfillset(&set);
              sigprocmask(SIG_BLOCK, &set, nullptr);
              struct signalfd_siginfo info;
              kill(getpid(), SIGUSR2);
              EXPECT(read(3, &info, sizeof info) == -1 && errno == EAGAIN);
              kill(getpid(), SIGRTMAX);
              EXPECT(read(3, &info, sizeof info) == sizeof info);
              EXPECT(info.ssi_signo == static_cast<uint32_t>(SIGRTMAX));
              return "";
            }) == kNothingWrong);
}

TEST_CASE("epoll instances come back with their watches") {
  CHECK(roundtrip(
            [] {
              epoll_create1(0);  // 3
              eventfd(0, 0);     // 4
              eventfd(1, 0);     // 5
              dup2(5, 30);       // watched under both numbers
              epoll_create1(0);  // 6: watched by 3
              struct epoll_event event = {};
              event.events = EPOLLIN;
              event.data.u64 = 0x1122334455667788;
              epoll_ctl(3, EPOLL_CTL_ADD, 4, &event);
              event.data.u64 = 5;
              event.events = EPOLLIN | EPOLLONESHOT;
              epoll_ctl(3, EPOLL_CTL_ADD, 5, &event);
              struct epoll_event fired;
              epoll_wait(3, &fired, 1, 0);  // the watch on 5 is spent now
              event.data.u64 = 30;
              event.events = EPOLLOUT | static_cast<uint32_t>(EPOLLET);
              epoll_ctl(3, EPOLL_CTL_ADD, 30, &event);
              event.data.u64 = 6;
              epoll_ctl(3, EPOLL_CTL_ADD, 6, &event);
            },
            []() -> std::string {
              struct epoll_event events[8];
              EXPECT(epoll_wait(3, events, 8, 0) == 1 && events[0].data.u64 == 30);
              EXPECT(epoll_wait(3, events, 8, 0) == 0);
              const uint64_t one = 1;
              EXPECT(write(4, &one, 8) == 8);
              EXPECT(epoll_wait(3, events, 8, 0) == 1);
              EXPECT(events[0].data.u64 == 0x1122334455667788);
              EXPECT(events[0].events == EPOLLIN);
              EXPECT(epoll_ctl(3, EPOLL_CTL_DEL, 6, nullptr) == 0);
              EXPECT(epoll_ctl(3, EPOLL_CTL_DEL, 5, nullptr) == 0);
              EXPECT(epoll_ctl(3, EPOLL_CTL_DEL, 30, nullptr) == 0);
              return "";
            }) == kNothingWrong);
}

TEST_CASE("a watch comes back under the number that the epoll instance itself has now") {
  CHECK(roundtrip(
            [] {
              const int epoll = epoll_create1(0);  // 3
              eventfd(1, 0);                       // 4
              struct epoll_event event = {};
              event.events = EPOLLIN;
              event.data.u64 = 44;
              epoll_ctl(epoll, EPOLL_CTL_ADD, 4, &event);
              dup2(4, 5);
              dup2(epoll, 4);
              close(epoll);
            },
            []() -> std::string {
              struct epoll_event event = {};
              EXPECT(epoll_wait(4, &event, 1, 0) == 1);
              EXPECT(event.data.u64 == 44);
              return "";
            }) == kNothingWrong);
}

TEST_CASE("epoll watches come back whose number is another file now") {
  CHECK(roundtrip(
            [] {
              epoll_create1(0);  // 3
              eventfd(0, 0);     // 4
              struct epoll_event event = {};
              event.events = EPOLLIN;
              event.data.u64 = 77;
              epoll_ctl(3, EPOLL_CTL_ADD, 4, &event);
              dup2(4, 20);
              close(4);
              eventfd(1, 0);  // 4 again: readable, but not the one that is watched
              event.data.u64 = 78;
              epoll_ctl(3, EPOLL_CTL_ADD, 4, &event);
              struct epoll_event fired;
              epoll_wait(3, &fired, 1, 0);
            },
            []() -> std::string {
              struct epoll_event fired[4];
              EXPECT(epoll_wait(3, fired, 4, 0) == 1 && fired[0].data.u64 == 78);
              const uint64_t one = 1;
              EXPECT(write(20, &one, 8) == 8);
              EXPECT(epoll_wait(3, fired, 4, 0) == 2);
              EXPECT(fcntl(5, F_GETFD) == -1);
              return "";
            }) == kNothingWrong);
}

}  // namespace
}  // namespace cryostat::files
