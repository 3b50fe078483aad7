// Holds one object that can't be checkpointed; the argument names it. After the refusal it must
// still work.
#include <linux/io_uring.h>
#include <linux/perf_event.h>
#include <mqueue.h>
#include <netinet/in.h>
#include <sched.h>
#include <sys/fanotify.h>
#include <sys/inotify.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/shm.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include <csignal>

#include "tests/victims/victim.h"

namespace {

// A descriptor, or -1 when this machine can't make one.
int make(victim::Victim& self, const std::string& kind, const std::string& argument) {
  if (kind == "unix-socket") {
    // The kernel chooses an abstract name (unix(7)).
    const int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    const sockaddr address = {AF_UNIX, {}};
    return bind(fd, &address, sizeof(sa_family_t)) == 0 && listen(fd, 1) == 0 ? fd : -1;
  }
  if (kind == "tcp-socket") return socket(AF_INET, SOCK_STREAM, 0);
  if (kind == "io_uring") {
    io_uring_params parameters{};
    return static_cast<int>(syscall(SYS_io_uring_setup, 4, &parameters));
  }
  if (kind == "inotify") {
    const int fd = inotify_init1(IN_CLOEXEC);
    inotify_add_watch(fd, self.path("").c_str(), IN_CREATE);
    close(open(self.path("unread").c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
    return fd;
  }
  if (kind == "fanotify") return fanotify_init(FAN_CLASS_CONTENT, O_RDONLY);
  if (kind == "userfaultfd") return static_cast<int>(syscall(SYS_userfaultfd, O_CLOEXEC | 1));
  if (kind == "pidfd") return static_cast<int>(syscall(SYS_pidfd_open, getppid(), 0));
  if (kind == "mqueue") {
    const std::string name = "/cryostat-" + std::to_string(getpid());
    const int queue = mq_open(name.c_str(), O_RDWR | O_CREAT, 0600, nullptr);
    mq_unlink(name.c_str());
    return queue;
  }
  if (kind == "proc-file") return open("/proc/1/status", O_RDONLY);
  if (kind == "namespace") return open("/proc/self/ns/net", O_RDONLY);
  if (kind == "half-pipe") return 0;  // the test gives us one as stdin
  if (kind == "sysv-shm") {
    const int id = shmget(IPC_PRIVATE, 4096, IPC_CREAT | 0600);
    const void* area = shmat(id, nullptr, 0);
    shmctl(id, IPC_RMID, nullptr);
    return area == reinterpret_cast<void*>(-1) ? -1 : 0;
  }
  if (kind == "big-ghost") {
    const int fd = open(self.path("ghost").c_str(), O_RDWR | O_CREAT, 0600);
    unlink(self.path("ghost").c_str());
    static char block[1 << 16];
    memset(block, 1, sizeof(block));
    for (int i = 0; i < 20; ++i)
      if (write(fd, block, sizeof(block)) < 0) return -1;
    return fd;
  }
  if (kind == "tracer") {  // of a process outside the target
    const auto tracee = static_cast<pid_t>(std::stol(argument));
    return ptrace(PTRACE_SEIZE, tracee, nullptr, nullptr) == 0 ? 0 : -1;
  }
  self.must(false, "no such kind");
  return -1;
}

}  // namespace

int main(int argc, char** argv) {
  victim::Victim self(argc, argv);
  self.must(argc > 2, "an argument is needed");
  const int fd = make(self, argv[2], argc > 3 ? argv[3] : "");
  if (fd < 0) self.skip(std::string(argv[2]) + ": " + strerror(errno));
  self.ready_and_wait();
  self.expect(fcntl(fd, F_GETFD) >= 0, "descriptor %d is gone", fd);
  return self.finish();
}
