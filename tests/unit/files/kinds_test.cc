// Every kind: opened in one process, restored in another.
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <termios.h>

#include <cstring>
#include <fstream>

#include "engine/base/plan_report.h"
#include "engine/files/terminal.h"
#include "tests/unit/files/roundtrip.h"

namespace cryostat::files {
namespace {

std::string link_of(int fd) {
  return std::filesystem::read_symlink("/proc/self/fd/" + std::to_string(fd)).string();
}

void fill(const std::string& path, const std::string& text) { std::ofstream(path) << text; }

TEST_CASE("regular files come back with position, flags, sharing and close-on-exec") {
  const TempFolder folder;
  const auto path = folder / "file (deleted)";  // a name that looks like a mark
  fill(path, "0123456789");
  const auto open_all = [&] {
    open(path.c_str(), O_RDONLY | O_CLOEXEC);  // 3
    lseek(3, 4, SEEK_SET);
    open(path.c_str(), O_WRONLY | O_APPEND | O_SYNC);     // 4
    open(path.c_str(), O_RDWR | O_NONBLOCK | O_NOATIME);  // 5
    dup2(3, 70);
    dup2(3, 9);
    open(path.c_str(), O_RDONLY);  // 6, same flags and position as 5 has: a description of its own
  };
  CHECK(roundtrip(open_all, [&]() -> std::string {
          EXPECT(link_of(3) == path);
          EXPECT(lseek(3, 0, SEEK_CUR) == 4);
          EXPECT(fcntl(3, F_GETFD) == FD_CLOEXEC);
          EXPECT(fcntl(70, F_GETFD) == 0);
          lseek(70, 7, SEEK_SET);
          EXPECT(lseek(3, 0, SEEK_CUR) == 7);
          EXPECT(lseek(9, 0, SEEK_CUR) == 7);
          EXPECT(lseek(6, 0, SEEK_CUR) == 0);
          EXPECT((fcntl(4, F_GETFL) & (O_ACCMODE | O_APPEND | O_SYNC)) ==
                 (O_WRONLY | O_APPEND | O_SYNC));
          EXPECT((fcntl(5, F_GETFL) & (O_ACCMODE | O_NONBLOCK | O_NOATIME)) ==
                 (O_RDWR | O_NONBLOCK | O_NOATIME));
          EXPECT(fcntl(7, F_GETFD) == -1);
          EXPECT(write(1, "x", 1) == 1);
          return "";
        }) == "");
}

TEST_CASE("directories and O_PATH places come back") {
  const TempFolder folder;
  const auto link = folder / "link";
  REQUIRE(symlink("nowhere", link.c_str()) == 0);
  CHECK(roundtrip(
            [&] {
              open((folder / "").c_str(), O_RDONLY | O_DIRECTORY);  // 3
              open(link.c_str(), O_PATH | O_NOFOLLOW | O_CLOEXEC);  // 4
              open("/dev/null", O_PATH);                            // 5
            },
            [&]() -> std::string {
              EXPECT(link_of(3) + "/" == folder / "");
              EXPECT(link_of(4) == link);
              EXPECT((fcntl(4, F_GETFL) & O_PATH) != 0);
              EXPECT(link_of(5) == "/dev/null");
              EXPECT((fcntl(5, F_GETFL) & O_PATH) != 0);
              EXPECT(openat(3, "link", O_PATH | O_NOFOLLOW) >= 0);
              return "";
            }) == "");
}

TEST_CASE("deleted files come back with content, attributes and sharing, without a name") {
  const TempFolder folder;
  const auto path = folder / "gone";
  CHECK(roundtrip(
            [&] {
              open(path.c_str(), O_RDWR | O_CREAT, 0640);  // 3
              (void)!write(3, "begin", 5);
              (void)!pwrite(3, "end", 3, 3 << 20);
              fchmod(3, 04751);
              struct timespec times[2] = {{1000, 5}, {-3, 7}};
              open(path.c_str(), O_RDONLY);  // 4: the same file again
              unlink(path.c_str());
              futimens(3, times);
            },
            [&]() -> std::string {
              struct stat st, other;
              EXPECT(fstat(3, &st) == 0 && fstat(4, &other) == 0);
              EXPECT(st.st_ino == other.st_ino);
              EXPECT(st.st_nlink == 0);
              EXPECT(st.st_size == (3 << 20) + 3);
              EXPECT(st.st_blocks < 100);
              EXPECT((st.st_mode & 07777) == 04751);
              EXPECT(st.st_mtim.tv_sec == -3 && st.st_mtim.tv_nsec == 7);
              EXPECT(lseek(3, 0, SEEK_CUR) == 5);
              EXPECT(lseek(4, 0, SEEK_CUR) == 0);
              EXPECT((fcntl(4, F_GETFL) & O_ACCMODE) == O_RDONLY);
              char text[6] = {};
              EXPECT(pread(4, text, 5, 0) == 5 && std::strcmp(text, "begin") == 0);
              EXPECT(pread(4, text, 5, 3 << 20) == 3 && std::strncmp(text, "end", 3) == 0);
              return "";
            }) == "");
  CHECK(std::filesystem::is_empty(folder / ""));
}

TEST_CASE("an empty deleted file and one made with O_TMPFILE come back") {
  const TempFolder folder;
  CHECK(roundtrip(
            [&] {
              open((folder / "empty").c_str(), O_RDWR | O_CREAT, 0600);  // 3
              unlink((folder / "empty").c_str());
              open((folder / "").c_str(), O_TMPFILE | O_RDWR, 0600);  // 4
              (void)!write(4, "data", 4);
            },
            [&]() -> std::string {
              struct stat st;
              EXPECT(fstat(3, &st) == 0 && st.st_size == 0 && st.st_nlink == 0);
              EXPECT(fstat(4, &st) == 0 && st.st_size == 4);
              // Like before, it may still be given a name.
              EXPECT(linkat(AT_FDCWD, "/proc/self/fd/4", AT_FDCWD, (folder / "named").c_str(),
                            AT_SYMLINK_FOLLOW) == 0);
              EXPECT(linkat(AT_FDCWD, "/proc/self/fd/3", AT_FDCWD, (folder / "not").c_str(),
                            AT_SYMLINK_FOLLOW) == -1);
              return "";
            }) == "");
}

TEST_CASE("pipes come back with content, capacity, flags and sharing") {
  CHECK(roundtrip(
            [] {
              int fds[2];
              (void)!pipe2(fds, O_NONBLOCK);  // 3, 4
              fcntl(4, F_SETPIPE_SZ, 1 << 18);
              const std::string block(150000, 'p');
              (void)!write(4, block.data(), block.size());
              dup2(4, 40);
              (void)!pipe2(fds, O_DIRECT);  // 5, 6
              (void)!write(6, "one", 3);
              (void)!write(6, "second", 6);
              (void)!pipe(fds);  // 7, 8: the writer goes
              (void)!write(8, "rest", 4);
              close(8);
              (void)!pipe(fds);  // 8, 9: the reader goes
              close(8);
            },
            []() -> std::string {
              std::string text(200000, '\0');
              EXPECT(fcntl(3, F_GETPIPE_SZ) == 1 << 18);
              EXPECT(fcntl(4, F_GETFL) == O_WRONLY + O_NONBLOCK);
              EXPECT(fcntl(7, F_GETFL) == O_RDONLY);
              EXPECT((fcntl(3, F_GETFL) & O_NONBLOCK) != 0);
              size_t total = 0;
              for (ssize_t got; (got = read(3, text.data(), text.size())) > 0;)
                total += static_cast<size_t>(got);
              EXPECT(total == 150000 && text[0] == 'p');
              EXPECT(write(40, "k", 1) == 1 && read(3, text.data(), 9) == 1);
              EXPECT((fcntl(6, F_GETFL) & O_DIRECT) != 0);
              EXPECT((fcntl(5, F_GETFL) & O_NONBLOCK) == 0);
              EXPECT(read(5, text.data(), 100) == 3);
              EXPECT(read(5, text.data(), 100) == 6);
              EXPECT(read(7, text.data(), 100) == 4);
              EXPECT(read(7, text.data(), 100) == 0);
              signal(SIGPIPE, SIG_IGN);
              EXPECT(write(9, "x", 1) == -1 && errno == EPIPE);
              return "";
            }) == "");
}

TEST_CASE("FIFOs come back with content") {
  const TempFolder folder;
  const auto path = folder / "fifo";
  REQUIRE(mkfifo(path.c_str(), 0600) == 0);
  std::string text;
  {
    const Subject subject([&] {
      open(path.c_str(), O_RDONLY | O_NONBLOCK);  // 3
      open(path.c_str(), O_WRONLY);               // 4
      (void)!write(4, "fifo data", 9);
      fcntl(3, F_SETFL, 0);
    });
    auto collected = collect(subject);
    REQUIRE(collected.refusals.lines().empty());
    // Not while the first process still has it in use.
    text = restored(collected.image, [] { return std::string(); });
    CHECK(text.find("is in use") != std::string::npos);
    kill(subject.pid().value, SIGKILL);
    siginfo_t info;
    waitid(P_PID, static_cast<id_t>(subject.pid().value), &info, WEXITED | WNOWAIT);
    text = restored(collected.image, [&]() -> std::string {
      char buffer[20];
      EXPECT(link_of(3) == path);
      EXPECT((fcntl(3, F_GETFL) & O_NONBLOCK) == 0);
      EXPECT(read(3, buffer, sizeof buffer) == 9);
      EXPECT(close(4) == 0);
      EXPECT(read(3, buffer, sizeof buffer) == 0);  // no end was left open
      return "";
    });
  }
  CHECK(text == "");
}

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
            }) == "");
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
            }) == "");
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
            }) == "");
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
            }) == "");
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
            }) == "");
}

TEST_CASE("an end of a socket pair whose other end is closed comes back") {
  CHECK(roundtrip(
            [] {
              int fds[2];
              (void)!socketpair(AF_UNIX, SOCK_STREAM, 0, fds);  // 3, 4
              close(4);
            },
            []() -> std::string {
              char byte;
              EXPECT(read(3, &byte, 1) == 0);
              EXPECT(send(3, "x", 1, MSG_NOSIGNAL) == -1 && errno == EPIPE);
              EXPECT(fcntl(3, F_GETFL) == O_RDWR);
              return "";
            }) == "");
}

TEST_CASE("socket pairs come back with what waits in them") {
  const int type = GENERATE(SOCK_STREAM, SOCK_DGRAM, SOCK_SEQPACKET);
  CHECK(roundtrip(
            [&] {
              int fds[2];
              (void)!socketpair(AF_UNIX, type | SOCK_NONBLOCK, 0, fds);  // 3, 4
              (void)!write(3, "there", 5);
              (void)!write(3, "too", 3);
              (void)!write(4, "back", 4);
              dup2(4, 70);
            },
            [&]() -> std::string {
              char text[16];
              if (type == SOCK_STREAM) {
                EXPECT(read(70, text, sizeof text) == 8 && memcmp(text, "theretoo", 8) == 0);
              } else {
                EXPECT(read(70, text, sizeof text) == 5 && memcmp(text, "there", 5) == 0);
                EXPECT(read(4, text, sizeof text) == 3 && memcmp(text, "too", 3) == 0);
              }
              EXPECT(read(4, text, sizeof text) == -1 && errno == EAGAIN);
              EXPECT(read(3, text, sizeof text) == 4 && memcmp(text, "back", 4) == 0);
              EXPECT(write(4, "x", 1) == 1 && read(3, text, 1) == 1);
              return "";
            }) == "");
}

TEST_CASE("a socket without a peer, and pairs whose ends were shut down, come back") {
  CHECK(roundtrip(
            [] {
              socket(AF_UNIX, SOCK_DGRAM, 0);  // 3
              int fds[2];
              (void)!socketpair(AF_UNIX, SOCK_STREAM, 0, fds);  // 4, 5
              shutdown(4, SHUT_WR);
              (void)!socketpair(AF_UNIX, SOCK_SEQPACKET, 0, fds);  // 6, 7
              (void)!write(7, "left", 4);
              close(7);
            },
            []() -> std::string {
              char text[16];
              EXPECT(send(3, "x", 1, 0) == -1 && errno == ENOTCONN);
              EXPECT(read(5, text, 1) == 0 && write(5, "y", 1) == 1 && read(4, text, 1) == 1);
              EXPECT(send(4, "x", 1, MSG_NOSIGNAL) == -1 && errno == EPIPE);
              EXPECT(read(6, text, sizeof text) == 4 && read(6, text, 1) == 0);
              return "";
            }) == "");
}

TEST_CASE("memfds are opened from their shared memory object") {
  const Subject subject([] {
    memfd_create("one", MFD_ALLOW_SEALING);  // 3
    (void)!write(3, "memory", 6);
    open("/proc/self/fd/3", O_RDONLY);  // 4: a description of its own
  });
  const auto collected = collect(subject);
  REQUIRE(collected.refusals.empty());
  REQUIRE(collected.image.descriptions.size() >= 3);
  RestoreInputs inputs;
  inputs.shared_memory_fd = [object = -1](uint32_t id) mutable -> Result<int> {
    if (id != 1) return fail(ErrorKind::kImages, "no such object");
    if (object < 0) object = fcntl(memfd_create("one", 0), F_DUPFD_CLOEXEC, 100);
    return object;
  };
  CHECK(restored(
            collected.image,
            []() -> std::string {
              EXPECT(link_of(3) == "/memfd:one (deleted)");
              EXPECT(lseek(3, 0, SEEK_CUR) == 6);
              EXPECT(lseek(4, 0, SEEK_CUR) == 0);
              EXPECT((fcntl(4, F_GETFL) & O_ACCMODE) == O_RDONLY);
              EXPECT((fcntl(3, F_GETFL) & O_ACCMODE) == O_RDWR);
              return "";
            },
            inputs) == "");
}

// A pseudoterminal whose both sides this process holds.
struct Terminal {
  Terminal() : master(posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC)) {
    REQUIRE(unlockpt(master.get()) == 0);
    char text[64];
    REQUIRE(ptsname_r(master.get(), text, sizeof text) == 0);
    name = text;
    slave.reset(open(text, O_RDWR | O_NOCTTY | O_CLOEXEC));
  }
  UniqueFd master;
  UniqueFd slave;
  std::string name;
};

TEST_CASE("the terminal of a job becomes the one of the restore, with its settings") {
  const Terminal before, after;
  const Subject subject([&] {
    open(before.name.c_str(), O_RDWR | O_NOCTTY);                 // 3
    open(before.name.c_str(), O_WRONLY | O_NOCTTY | O_NONBLOCK);  // 4
    dup(3);                                                       // 5
    struct termios settings;
    tcgetattr(3, &settings);
    cfmakeraw(&settings);
    tcsetattr(3, TCSANOW, &settings);
    struct winsize size = {50, 132, 0, 0};
    ioctl(3, TIOCSWINSZ, &size);
  });
  const auto collected = collect(subject, {.shell_job = true});
  REQUIRE(collected.refusals.empty());
  REQUIRE(uses_job_terminal(collected.image));

  PlanReport plan;
  check_files(collected.image, {}, plan);
  CHECK_FALSE(plan.complete());
  plan = PlanReport();
  check_files(collected.image, {.shell_job = true, .terminal_fd = after.slave.get()}, plan);
  CHECK(plan.complete());

  RestoreInputs inputs;
  inputs.terminal_fd = after.slave.get();
  CHECK(restored(
            collected.image,
            [&]() -> std::string {
              EXPECT(link_of(3) == after.name && link_of(4) == after.name &&
                     link_of(5) == after.name);
              EXPECT((fcntl(3, F_GETFL) & (O_ACCMODE | O_NONBLOCK)) == O_RDWR);
              EXPECT((fcntl(4, F_GETFL) & (O_ACCMODE | O_NONBLOCK)) == (O_WRONLY | O_NONBLOCK));
              EXPECT(write(3, "hello", 5) == 5);
              return "";
            },
            inputs) == "");
  char text[6] = {};
  CHECK(read(after.master.get(), text, 5) == 5);
  CHECK(std::string(text) == "hello");

  CHECK(apply_terminal_settings(collected.image, after.slave.get()).value() ==
        WindowSize::kChanged);
  struct termios settings;
  REQUIRE(tcgetattr(after.slave.get(), &settings) == 0);
  CHECK((settings.c_lflag & (ICANON | ECHO)) == 0);
}

TEST_CASE("what the plan finds changed is named with both values") {
  const TempFolder folder;
  const auto grown = folder / "grown", gone = folder / "gone", swapped = folder / "swapped";
  for (const auto& path : {grown, gone, swapped}) fill(path, "12345");
  const Subject subject([&] {
    open(grown.c_str(), O_WRONLY | O_APPEND);
    open(gone.c_str(), O_RDONLY);
    open(swapped.c_str(), O_RDONLY);
    open(swapped.c_str(), O_RDONLY);
  });
  const auto collected = collect(subject);
  REQUIRE(collected.refusals.empty());
  PlanReport plan;
  check_files(collected.image, {}, plan);
  CHECK(plan.complete());
  fill(grown, "1234567");
  std::filesystem::remove(gone);
  std::filesystem::remove(swapped);
  std::filesystem::create_directory(swapped);
  plan = PlanReport();
  check_files(collected.image, {}, plan);
  CHECK(plan.missing_count() == 3);
  std::string text;
  for (const auto& line : plan.lines()) text += line + "\n";
  INFO(text);
  CHECK(text.find(grown + ": size was 5 bytes, is 7 bytes now") != std::string::npos);
  CHECK(text.find(gone + ": was open at the dump: No such file") != std::string::npos);
  CHECK(text.find(swapped + ": was a regular file, is a directory now") != std::string::npos);
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
            }) == "");
}

TEST_CASE("locks come back: of the description with it, of the process for the restorer") {
  const TempFolder folder;
  const auto path = folder / "file";
  fill(path, std::string(100, 'x'));
  image::FilesImage image;
  {
    const Subject subject([&] {
      open(path.c_str(), O_RDONLY);  // 3
      open(path.c_str(), O_RDWR);    // 4
      open(path.c_str(), O_RDWR);    // 5
      flock(3, LOCK_SH);
      struct flock range = {};
      range.l_type = F_WRLCK;
      range.l_start = 10;
      range.l_len = 5;
      fcntl(4, F_SETLK, &range);
      range.l_type = F_RDLCK;
      range.l_start = 50;
      range.l_len = 0;
      fcntl(5, F_OFD_SETLK, &range);
    });
    auto collected = collect(subject, {.file_locks = true});
    REQUIRE(collected.refusals.lines().empty());
    image = std::move(collected.image);
    PlanReport plan;
    check_files(image, {}, plan);
    CHECK(plan.missing_count() == 1);  // the first process still has them
  }
  PlanReport plan;
  check_files(image, {}, plan);
  CHECK(plan.complete());
  const auto posix = posix_locks(image, 1);
  REQUIRE(posix.size() == 1);
  CHECK(posix[0].fd == 4);
  CHECK(posix[0].type == F_WRLCK);
  CHECK(posix[0].start == 10);
  CHECK(posix[0].length == 5);
  CHECK(restored(image, [&]() -> std::string {
          const int other = open(path.c_str(), O_RDWR);
          EXPECT(flock(other, LOCK_EX | LOCK_NB) == -1 && errno == EWOULDBLOCK);
          EXPECT(flock(other, LOCK_SH | LOCK_NB) == 0);
          struct flock range = {};
          range.l_type = F_WRLCK;
          range.l_start = 60;
          EXPECT(fcntl(other, F_OFD_SETLK, &range) == -1 && errno == EAGAIN);
          range.l_type = F_RDLCK;
          EXPECT(fcntl(other, F_OFD_SETLK, &range) == 0);
          return "";
        }) == "");
  std::filesystem::last_write_time(path, std::filesystem::file_time_type::clock::now());
  plan = PlanReport();
  check_files(image, {}, plan);
  CHECK(plan.missing_count() == 1);
}

TEST_CASE("owner and signal of a description come back") {
  const Subject subject([] {
    int fds[2];
    (void)!pipe(fds);  // 3, 4
    fcntl(3, F_SETOWN, getpid());
    fcntl(3, F_SETSIG, SIGRTMIN + 3);
    fcntl(3, F_SETFL, O_ASYNC | O_NONBLOCK);
  });
  auto collected = collect(subject);
  REQUIRE(collected.refusals.empty());
  auto& description = collected.image.descriptions[3];  // of descriptor 3
  REQUIRE(description.owner_pid() == subject.pid().value);
  CHECK(description.owner_type() == F_OWNER_PID);
  // As the restored process would have the pid of the first one.
  description.set_owner_pid(getpid());
  description.set_owner_uid(1234);
  description.set_owner_euid(4321);
  CHECK(restored(collected.image, []() -> std::string {
          uid_t uids[2] = {};
          struct f_owner_ex owner = {};
          EXPECT(fcntl(3, F_GETOWN_EX, &owner) == 0);
          EXPECT(owner.pid == getppid());
          EXPECT(fcntl(3, F_GETSIG) == SIGRTMIN + 3);
          EXPECT((fcntl(3, F_GETFL) & (O_ASYNC | O_NONBLOCK)) == (O_ASYNC | O_NONBLOCK));
          EXPECT(fcntl(3, 17 /* F_GETOWNER_UIDS */, uids) == 0);
          EXPECT(uids[0] == 1234 && uids[1] == 4321);
          EXPECT(getuid() == 0 && geteuid() == 0);
          return "";
        }) == "");
}

}  // namespace
}  // namespace cryostat::files
