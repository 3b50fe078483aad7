// What can't be saved is refused by name.
#include <fmt/format.h>
#include <netinet/in.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/fanotify.h>
#include <sys/file.h>
#include <sys/inotify.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <termios.h>

#include <mqueue.h>

#include <cstring>

#include "tests/unit/files/roundtrip.h"

namespace cryostat::files {
namespace {

#define CHECK_MENTIONS(text, part)                \
  do {                                            \
    const std::string found = (text);             \
    INFO(found);                                  \
    CHECK(found.find(part) != std::string::npos); \
  } while (false)

TEST_CASE("sockets are refused by family and type") {
  CHECK_MENTIONS(refusal([] { socket(AF_INET, SOCK_STREAM, IPPROTO_MPTCP); }),
                 "fd 3: IPv4 stream socket of protocol 262 (MPTCP) can't be checkpointed");
  CHECK_MENTIONS(refusal([] { socket(AF_NETLINK, SOCK_RAW, 0); }), "netlink raw socket");
}

TEST_CASE("a socket pair whose other end is outside is refused") {
  int pair[2];
  REQUIRE(socketpair(AF_UNIX, SOCK_STREAM, 0, pair) == 0);
  const UniqueFd outside(pair[0]), inside(fcntl(pair[1], F_DUPFD, 200));
  close(pair[1]);
  const auto take_end = [&] {
    // The child closed everything; take the end from the parent.
    const int parent = static_cast<int>(syscall(SYS_pidfd_open, getppid(), 0));
    dup2(static_cast<int>(syscall(SYS_pidfd_getfd, parent, inside.get(), 0)), 3);
    close_range(4, ~0u, 0);
  };
  CHECK_MENTIONS(refusal(take_end), "(unnamed) whose other end unix[");
  CHECK_MENTIONS(refusal(take_end), "is outside the target");
}

TEST_CASE("what is in flight on a socket is refused by the same names") {
  const auto text = refusal([] {
    int fds[2];
    (void)!socketpair(AF_UNIX, SOCK_STREAM, 0, fds);  // 3, 4
    const int queue = socket(AF_NETLINK, SOCK_RAW, 0);
    char control[CMSG_SPACE(sizeof(int))] = {};
    iovec part = {control, 1};
    msghdr header = {};
    header.msg_iov = &part;
    header.msg_iovlen = 1;
    header.msg_control = control;
    header.msg_controllen = sizeof control;
    auto* rights = CMSG_FIRSTHDR(&header);
    rights->cmsg_level = SOL_SOCKET;
    rights->cmsg_type = SCM_RIGHTS;
    rights->cmsg_len = CMSG_LEN(sizeof(int));
    memcpy(CMSG_DATA(rights), &queue, sizeof queue);
    (void)!sendmsg(3, &header, 0);
    close(queue);
  });
  CHECK_MENTIONS(text, "descriptor in flight on fd 4: netlink raw socket");
}

TEST_CASE("anonymous inodes are refused by name") {
  CHECK_MENTIONS(refusal([] { syscall(SYS_pidfd_open, getppid(), 0); }),
                 fmt::format("pidfd of process {}, which is not part of the target", getpid()));
  CHECK_MENTIONS(refusal([] { open("/proc/self/ns/net", O_RDONLY); }), "namespace net:[");
  const auto io_uring = refusal([] {
    char params[120] = {};
    syscall(SYS_io_uring_setup, 4, params);
  });
  if (!io_uring.empty()) CHECK_MENTIONS(io_uring, "io_uring instance can't be checkpointed");
  const auto uffd = refusal([] { syscall(SYS_userfaultfd, 0); });
  if (!uffd.empty()) CHECK_MENTIONS(uffd, "userfaultfd can't be checkpointed");
  const auto secret = refusal([] { syscall(SYS_memfd_secret, 0); });
  if (!secret.empty()) CHECK_MENTIONS(secret, "secret memory");
}

TEST_CASE("devices, message queues and files about other processes are refused") {
  CHECK_MENTIONS(refusal([] { open("/proc/1/status", O_RDONLY); }), "about another process");
  CHECK(refusal([] { open("/proc/self/status", O_RDONLY); }).empty());
  const auto kmsg = refusal([] { open("/dev/kmsg", O_RDONLY); });
  if (!kmsg.empty()) CHECK_MENTIONS(kmsg, "character device /dev/kmsg (1:11)");
  const auto queue = refusal([] {
    mq_open("/cryostat-test", O_RDWR | O_CREAT, 0600, nullptr);
    mq_unlink("/cryostat-test");
  });
  if (!queue.empty()) CHECK_MENTIONS(queue, "POSIX message queue");
}

TEST_CASE("a terminal from outside needs --shell-job") {
  const UniqueFd master(posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC));
  REQUIRE(unlockpt(master.get()) == 0);
  char name[64];
  REQUIRE(ptsname_r(master.get(), name, sizeof name) == 0);
  const auto open_slave = [&] { open(name, O_RDWR | O_NOCTTY); };  // 3
  CHECK_MENTIONS(refusal(open_slave), "add --shell-job");
  CHECK(refusal(open_slave, {.shell_job = true}).empty());
}

TEST_CASE("a pseudoterminal whose slave is open outside, or whose output is stopped, is refused") {
  CHECK_MENTIONS(refusal([] {
                   posix_openpt(O_RDWR | O_NOCTTY);  // 3
                   unlockpt(3);
                 }),
                 "whose slave is open outside");
  CHECK_MENTIONS(refusal([] {
                   posix_openpt(O_RDWR | O_NOCTTY);  // 3
                   unlockpt(3);
                   char name[64];
                   ptsname_r(3, name, sizeof name);
                   open(name, O_RDWR | O_NOCTTY);  // 4
                   ioctl(4, TCXONC, TCOOFF);
                 }),
                 "output is stopped");
}

TEST_CASE("watches with unread events, and on files that are gone, are refused") {
  const TempFolder folder;
  const auto path = folder / "file";
  const auto watch = [&] {
    inotify_init1(0);  // 3
    close(open(path.c_str(), O_RDWR | O_CREAT, 0600));
    inotify_add_watch(3, path.c_str(), IN_MODIFY);
  };
  CHECK(refusal(watch).empty());
  CHECK_MENTIONS(refusal([&] {
                   watch();
                   (void)!truncate(path.c_str(), 10);
                 }),
                 "inotify instance with unread events");
  CHECK_MENTIONS(refusal([&] {
                   watch();
                   open(path.c_str(), O_RDWR);  // keeps the watch when the name goes
                   unlink(path.c_str());
                 }),
                 "inotify watch 1 is on a deleted file");
  CHECK_MENTIONS(refusal([] { fanotify_init(FAN_CLASS_CONTENT, O_RDONLY); }),
                 "fanotify group that decides");
}

TEST_CASE("pipes with an end outside are refused") {
  int pair[2];
  REQUIRE(pipe(pair) == 0);
  const UniqueFd read_end(fcntl(pair[0], F_DUPFD, 200)), write_end(fcntl(pair[1], F_DUPFD, 201));
  close(pair[0]);
  close(pair[1]);
  const auto keep_one = [](int fd) {
    return [fd] {
      // The child closed everything; take the end from the parent.
      const int parent = static_cast<int>(syscall(SYS_pidfd_open, getppid(), 0));
      const int end = static_cast<int>(syscall(SYS_pidfd_getfd, parent, fd, 0));
      dup2(end, 3);
      close(end);
    };
  };
  CHECK_MENTIONS(refusal(keep_one(read_end.get())), "write end is outside the target");
  CHECK_MENTIONS(refusal(keep_one(write_end.get())), "read end is outside the target");
}

TEST_CASE("locks without --file-locks and foreign owners are refused") {
  const TempFolder folder;
  const auto path = folder / "file";
  const auto open_file = [&] { return open(path.c_str(), O_RDWR | O_CREAT, 0600); };
  CHECK_MENTIONS(refusal([&] { fcntl(open_file(), F_SETLEASE, F_WRLCK); }),
                 "lease on " + path + " is held; add --file-locks");
  CHECK_MENTIONS(refusal([&] { flock(open_file(), LOCK_EX); }), "add --file-locks");
  CHECK(refusal([&] { flock(open_file(), LOCK_EX); }, {.file_locks = true}).empty());
  CHECK_MENTIONS(refusal([&] { fcntl(open_file(), F_SETOWN, getppid()); }),
                 fmt::format("its signals go to process {}", getpid()));
}

TEST_CASE("files that no path leads to are refused") {
  const TempFolder folder;
  const auto path = folder / "file", other = folder / "other";
  CHECK_MENTIONS(refusal([&] {
                   open(path.c_str(), O_RDWR | O_CREAT, 0600);
                   (void)!link(path.c_str(), other.c_str());
                   unlink(path.c_str());
                 }),
                 "has another hard link");
  CHECK_MENTIONS(refusal([] { open("/proc/1", O_RDONLY | O_DIRECTORY); }), "about another process");
  CHECK_MENTIONS(refusal([&] { open((folder / "\xff\xfe").c_str(), O_RDWR | O_CREAT, 0600); }),
                 "not UTF-8");
}

TEST_CASE("a deleted file larger than the ghost limit is refused") {
  const TempFolder folder;
  const auto path = folder / "large";
  const auto make = [&] {
    open(path.c_str(), O_RDWR | O_CREAT, 0600);
    const std::string block(8192, 'g');
    (void)!write(3, block.data(), block.size());
    unlink(path.c_str());
  };
  CHECK_MENTIONS(refusal(make, {.ghost_limit_bytes = 4096}),
                 "more than --ghost-limit (4096 bytes)");
  CHECK(refusal(make, {.ghost_limit_bytes = 8192}).empty());
}

TEST_CASE("an epoll watch on what is open outside only is refused") {
  const UniqueFd ours(fcntl(eventfd(0, EFD_CLOEXEC), F_DUPFD_CLOEXEC, 200));
  const auto text = refusal([&] {
    epoll_create1(0);  // 3
    const int parent = static_cast<int>(syscall(SYS_pidfd_open, getppid(), 0));
    const int theirs = static_cast<int>(syscall(SYS_pidfd_getfd, parent, ours.get(), 0));
    struct epoll_event event = {};
    epoll_ctl(3, EPOLL_CTL_ADD, theirs, &event);
    close(theirs);
    close(parent);
  });
  CHECK_MENTIONS(text, "fd 3: epoll instance with a watch on descriptor 5");
}

}  // namespace
}  // namespace cryostat::files
