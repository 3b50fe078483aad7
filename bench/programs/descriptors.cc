// A process with many descriptors of mixed kinds: what collecting them costs.
//
//   descriptors READY COUNT [KIND]
//
// Writes its pid and their number to READY. KIND: only those (eventfd, timerfd, signalfd, epoll,
// inotify, memfd, pipe, socket, file).
#include <fcntl.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <iterator>
#include <string>

namespace {

const char* g_folder = nullptr;

int open_pair(int (*make)(int*)) {
  int fds[2];
  return make(fds) == 0 ? 2 : 0;
}

int open_epoll() {
  const int epoll = epoll_create1(EPOLL_CLOEXEC);
  const int event = eventfd(0, EFD_CLOEXEC);
  epoll_event wanted{EPOLLIN, {}};
  return epoll_ctl(epoll, EPOLL_CTL_ADD, event, &wanted) == 0 ? 2 : 0;
}

int open_signal() {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGUSR1);
  return signalfd(-1, &set, SFD_CLOEXEC) >= 0;
}

int open_inotify() {
  const int fd = inotify_init1(IN_CLOEXEC);
  return inotify_add_watch(fd, g_folder, IN_DELETE_SELF) >= 0;
}

struct Kind {
  const char* name;
  int (*open)();  // returns how many descriptors it has opened
};

constexpr Kind kKinds[] = {
    {"eventfd", [] { return eventfd(3, EFD_CLOEXEC) >= 0 ? 1 : 0; }},
    {"timerfd", [] { return timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC) >= 0 ? 1 : 0; }},
    {"signalfd", open_signal},
    {"epoll", open_epoll},
    {"inotify", open_inotify},
    {"memfd", [] { return memfd_create("bench", MFD_CLOEXEC) >= 0 ? 1 : 0; }},
    {"pipe", [] { return open_pair(pipe); }},
    {"socket",
     [] { return open_pair([](int* fds) { return socketpair(AF_UNIX, SOCK_STREAM, 0, fds); }); }},
    {"file", [] { return open(g_folder, O_RDONLY | O_CLOEXEC) >= 0 ? 1 : 0; }},
};

}  // namespace

int main(int argc, char** argv) {
  if (argc < 3) return 2;
  const std::string ready = argv[1];
  g_folder = "/";
  const int count = std::atoi(argv[2]);
  rlimit limit{};
  getrlimit(RLIMIT_NOFILE, &limit);
  limit.rlim_cur = limit.rlim_max;
  setrlimit(RLIMIT_NOFILE, &limit);
  int opened = 0;
  for (size_t i = 0; opened < count; ++i) {
    const Kind& kind = kKinds[i % std::size(kKinds)];
    if (argc > 3 && std::strcmp(argv[3], kind.name) != 0) continue;
    const int more = kind.open();
    // inotify instances are few; the others go on.
    if (more == 0 && (argc > 3 || std::strcmp(kind.name, "inotify") != 0)) return 1;
    opened += more;
  }
  FILE* const file = std::fopen(ready.c_str(), "w");
  if (file == nullptr) return 1;
  std::fprintf(file, "%d %d\n", getpid(), opened);
  std::fclose(file);
  for (;;) pause();
}
