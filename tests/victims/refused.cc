// Holds one object that can't be checkpointed; the argument names it. After the refusal it must
// still work.
#include <linux/bpf.h>
#include <linux/io_uring.h>
#include <linux/perf_event.h>
#include <mqueue.h>
#include <netinet/in.h>
#include <netinet/udp.h>
#include <sched.h>
#include <sys/fanotify.h>
#include <sys/inotify.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/shm.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>

#include <csignal>

#include "tests/victims/victim.h"

namespace {

// A listening socket, and a connection to it that nobody accepts (the other end stays open).
int listening_tcp(bool with_connection) {
  const int listener = socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in address = {};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t length = sizeof address;
  auto* name = reinterpret_cast<sockaddr*>(&address);
  if (bind(listener, name, length) != 0 || listen(listener, 3) != 0 ||
      getsockname(listener, name, &length) != 0)
    return -1;
  if (!with_connection) return listener;
  const int client = socket(AF_INET, SOCK_STREAM, 0);
  return connect(client, name, length) == 0 ? listener : -1;
}

int connected_tcp() { return accept(listening_tcp(true), nullptr, nullptr); }

// With a socket filter of extended BPF that drops everything.
int filtered_by_program() {
  bpf_insn program[] = {{BPF_ALU64 | BPF_MOV | BPF_K, 0, 0, 0, 0},
                        {BPF_JMP | BPF_EXIT, 0, 0, 0, 0}};
  bpf_attr attributes = {};
  attributes.prog_type = BPF_PROG_TYPE_SOCKET_FILTER;
  attributes.insn_cnt = 2;
  attributes.insns = reinterpret_cast<uintptr_t>(program);
  attributes.license = reinterpret_cast<uintptr_t>("GPL");
  const auto loaded =
      static_cast<int>(syscall(SYS_bpf, BPF_PROG_LOAD, &attributes, sizeof attributes));
  if (loaded < 0) return -1;
  const int fd = socket(AF_INET, SOCK_DGRAM, 0);
  const int done = setsockopt(fd, SOL_SOCKET, SO_ATTACH_BPF, &loaded, sizeof loaded);
  close(loaded);
  return done == 0 ? fd : -1;
}

// Sockets; -2: it is no kind of these.
int make_socket(const std::string& kind) {
  if (kind == "tcp-socket") return connected_tcp();
  if (kind == "tcp-backlog") return listening_tcp(true);
  if (kind == "udp-cork") {
    const int fd = socket(AF_INET, SOCK_DGRAM, 0), on = 1;
    return setsockopt(fd, IPPROTO_UDP, UDP_CORK, &on, sizeof on) == 0 ? fd : -1;
  }
  if (kind == "mptcp") return socket(AF_INET, SOCK_STREAM, IPPROTO_MPTCP);
  if (kind == "vsock") return socket(AF_VSOCK, SOCK_STREAM, 0);
  if (kind == "xdp") return socket(AF_XDP, SOCK_RAW, 0);
  if (kind == "alg") return socket(AF_ALG, SOCK_SEQPACKET, 0);
  if (kind == "ebpf-filter") return filtered_by_program();
  return -2;
}

// A descriptor, or -1 when this machine can't make one.
int make(victim::Victim& self, const std::string& kind, const std::string& argument) {
  if (kind == "unix-data-ahead") {
    // The kernel chooses an abstract name (unix(7)).
    const int fd = socket(AF_UNIX, SOCK_STREAM, 0), client = socket(AF_UNIX, SOCK_STREAM, 0);
    sockaddr_un address = {AF_UNIX, {}};
    socklen_t length = sizeof(address);
    auto* generic = reinterpret_cast<sockaddr*>(&address);
    const bool done = bind(fd, generic, sizeof(sa_family_t)) == 0 && listen(fd, 1) == 0 &&
                      getsockname(fd, generic, &length) == 0 &&
                      connect(client, generic, length) == 0 && send(client, "x", 1, 0) == 1;
    return done ? fd : -1;
  }
  if (const int fd = make_socket(kind); fd != -2) return fd;
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
