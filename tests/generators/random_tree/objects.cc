#include "tests/generators/random_tree/objects.h"

#include <fcntl.h>
#include <linux/bpf.h>
#include <pty.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/file.h>
#include <sys/inotify.h>
#include <sys/mman.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>

namespace random_tree {
namespace {

using Numbers = std::vector<int>;

std::string content(Random& random, size_t most) {
  std::string text(1 + random.below(most), ' ');
  for (char& byte : text) byte = static_cast<char>('a' + random.below(26));
  return text;
}

std::string new_name(Random& random, const Surroundings& around, const char* stem) {
  return around.folder + "/" + stem + std::to_string(random.next() % 1'000'000'000);
}

// Those of the numbers that were opened.
Numbers opened(std::initializer_list<int> numbers) {
  Numbers good;
  for (const int number : numbers)
    if (number >= 0) good.push_back(number);
  return good;
}

void write_some(int fd, Random& random, size_t most) {
  const std::string text = content(random, most);
  (void)!write(fd, text.data(), text.size());
}

std::string new_file(Random& random, const Surroundings& around) {
  const std::string path = new_name(random, around, "file");
  const int fd = open(path.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0666);
  write_some(fd, random, 9000);
  close(fd);
  return path;
}

Numbers regular_file(Random& random, const Surroundings& around) {
  const int modes[] = {O_RDONLY, O_WRONLY, O_RDWR, O_RDWR | O_APPEND, O_RDONLY | O_NOATIME};
  const int fd = open(new_file(random, around).c_str(), modes[random.below(5)]);
  lseek(fd, static_cast<off_t>(random.below(5000)), SEEK_SET);
  return opened({fd});
}

Numbers deleted_file(Random& random, const Surroundings& around) {
  if (random.chance(30)) {
    const int fd = open(around.folder.c_str(), O_TMPFILE | O_RDWR, 0600);
    write_some(fd, random, 9000);
    return opened({fd});
  }
  const std::string path = new_file(random, around);
  const int fd = open(path.c_str(), O_RDWR);
  const int second = random.chance(30) ? open(path.c_str(), O_RDONLY) : -1;
  lseek(fd, static_cast<off_t>(random.below(5000)), SEEK_SET);
  unlink(path.c_str());
  return opened({fd, second});
}

Numbers directory(Random& random, const Surroundings& around) {
  const std::string path = new_name(random, around, "folder");
  mkdir(path.c_str(), 0755);
  const int fd = open(path.c_str(), O_RDONLY | O_DIRECTORY);
  if (random.chance(20)) rmdir(path.c_str());
  return opened({fd});
}

Numbers place(Random& random, const Surroundings& around) {
  const bool file = random.chance(50);
  return opened({open(file ? new_file(random, around).c_str() : "/usr", O_PATH)});
}

Numbers device(Random& random, const Surroundings&) {
  const char* const names[] = {"/dev/null", "/dev/zero", "/dev/full", "/dev/urandom"};
  return opened({open(names[random.below(4)], random.chance(50) ? O_RDWR : O_RDONLY)});
}

// Also with one end closed for everybody.
Numbers new_pipe(Random& random, const Surroundings&) {
  int ends[2];
  if (pipe2(ends, random.chance(20) ? O_DIRECT : random.chance(30) ? O_NONBLOCK : 0) != 0)
    return {};
  if (random.chance(20)) fcntl(ends[0], F_SETPIPE_SZ, 4096 << random.below(5));
  for (uint64_t i = random.below(3); i-- > 0;) write_some(ends[1], random, 1000);
  if (random.chance(10)) {
    close(ends[1]);
    return {ends[0]};
  }
  return {ends[0], ends[1]};
}

Numbers fifo(Random& random, const Surroundings& around) {
  const std::string path = new_name(random, around, "fifo");
  if (mkfifo(path.c_str(), 0600) != 0) return {};
  const int both = open(path.c_str(), O_RDWR);
  const int reader = open(path.c_str(), O_RDONLY | O_NONBLOCK);
  write_some(both, random, 3000);
  return opened({both, reader});
}

Numbers event_fd(Random& random, const Surroundings&) {
  return opened({eventfd(static_cast<unsigned>(random.below(100)),
                         random.chance(30) ? EFD_SEMAPHORE : EFD_NONBLOCK)});
}

Numbers timer_fd(Random& random, const Surroundings&) {
  const int clocks[] = {CLOCK_MONOTONIC, CLOCK_REALTIME, CLOCK_BOOTTIME};
  const int fd = timerfd_create(clocks[random.below(3)], TFD_NONBLOCK);
  const itimerspec when{{random.chance(50) ? 5000 : 0, 0},
                        {static_cast<time_t>(1500 + 1000 * random.below(5)), 0}};
  if (random.chance(80)) timerfd_settime(fd, 0, &when, nullptr);
  return opened({fd});
}

Numbers signal_fd(Random& random, const Surroundings&) {
  sigset_t set;
  sigemptyset(&set);
  for (int i = 0; i < 3; ++i) sigaddset(&set, static_cast<int>(SIGRTMIN + random.below(20)));
  return opened({signalfd(-1, &set, SFD_NONBLOCK)});
}

Numbers epoll(Random& random, const Surroundings& around) {
  const int fd = epoll_create1(0);
  for (uint64_t i = random.below(4); i-- > 0 && !around.numbers.empty();) {
    const int watched = random.pick(around.numbers);
    epoll_event event{static_cast<uint32_t>(EPOLLIN | (random.chance(30) ? unsigned{EPOLLET} : 0)),
                      {}};
    event.data.u64 = random.next();
    epoll_ctl(fd, EPOLL_CTL_ADD, watched, &event);
  }
  return opened({fd});
}

// Nothing ever happens in the folder, so there are no events.
Numbers inotify(Random& random, const Surroundings& around) {
  const int fd = inotify_init1(IN_NONBLOCK);
  for (uint64_t i = random.below(3); i-- > 0;) {
    const std::string path = new_name(random, around, "watched");
    mkdir(path.c_str(), 0755);
    inotify_add_watch(fd, path.c_str(), random.chance(50) ? IN_CREATE | IN_DELETE : IN_MODIFY);
  }
  return opened({fd});
}

Numbers mem_fd(Random& random, const Surroundings&) {
  const int fd = memfd_create(content(random, 20).c_str(), MFD_ALLOW_SEALING);
  write_some(fd, random, 20'000);
  if (random.chance(40))
    fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | (random.chance(50) ? F_SEAL_WRITE : 0));
  return opened({fd});
}

Numbers pid_fd(Random& random, const Surroundings& around) {
  const pid_t pid = around.board->pid(static_cast<uint32_t>(random.below(around.members)));
  return opened({pid == 0 ? -1 : static_cast<int>(syscall(SYS_pidfd_open, pid, 0))});
}

Numbers socket_pair(Random& random, const Surroundings&) {
  const int types[] = {SOCK_STREAM, SOCK_DGRAM, SOCK_SEQPACKET};
  int ends[2];
  if (socketpair(AF_UNIX, types[random.below(3)], 0, ends) != 0) return {};
  for (uint64_t i = random.below(3); i-- > 0;) write_some(ends[random.below(2)], random, 500);
  if (random.chance(20)) shutdown(ends[random.below(2)], SHUT_WR);
  return {ends[0], ends[1]};
}

Numbers terminal(Random& random, const Surroundings&) {
  winsize size{};
  size.ws_row = static_cast<unsigned short>(10 + random.below(50));
  size.ws_col = 80;
  int master = -1, slave = -1;
  if (openpty(&master, &slave, nullptr, nullptr, &size) != 0) return {};
  if (random.chance(50)) write_some(slave, random, 40);
  if (random.chance(30)) (void)!write(master, "typed\n", 6);
  return {master, slave};
}

Numbers proc_file(Random& random, const Surroundings& around) {
  const pid_t pid = around.board->pid(static_cast<uint32_t>(random.below(around.members)));
  const char* const names[] = {"status", "maps", "limits"};
  return opened(
      {open(("/proc/" + std::to_string(pid) + "/" + names[random.below(3)]).c_str(), O_RDONLY)});
}

Numbers locked_file(Random& random, const Surroundings& around) {
  const std::string path = new_file(random, around);
  const int fd = open(path.c_str(), O_RDWR);
  struct flock range {};
  range.l_type = random.chance(50) ? F_WRLCK : F_RDLCK;
  range.l_start = static_cast<off_t>(random.below(100));
  range.l_len = static_cast<off_t>(random.below(50));
  const uint64_t sort = random.below(3);
  if (sort == 0) flock(fd, random.chance(50) ? LOCK_EX : LOCK_SH);
  if (sort == 1) fcntl(fd, F_OFD_SETLK, &range);
  if (sort == 2) fcntl(fd, F_SETLK, &range);
  return opened({fd});
}

Numbers bpf_map(Random& random, const Surroundings&) {
  bpf_attr attributes{};
  attributes.map_type = BPF_MAP_TYPE_ARRAY;
  attributes.key_size = 4;
  attributes.value_size = 8;
  attributes.max_entries = 4;
  const int fd =
      static_cast<int>(syscall(SYS_bpf, BPF_MAP_CREATE, &attributes, sizeof(attributes)));
  uint32_t key = static_cast<uint32_t>(random.below(4));
  uint64_t value = random.next();
  attributes = {};
  attributes.map_fd = static_cast<uint32_t>(fd);
  attributes.key = reinterpret_cast<uint64_t>(&key);
  attributes.value = reinterpret_cast<uint64_t>(&value);
  syscall(SYS_bpf, BPF_MAP_UPDATE_ELEM, &attributes, sizeof(attributes));
  return opened({fd});
}

using Opener = Numbers (*)(Random&, const Surroundings&);
constexpr Opener kOpeners[] = {
    regular_file, regular_file, deleted_file, directory,   place,    device,
    new_pipe,     new_pipe,     fifo,         event_fd,    timer_fd, signal_fd,
    epoll,        epoll,        inotify,      mem_fd,      pid_fd,   terminal,
    proc_file,    locked_file,  socket_pair,  socket_pair, bpf_map,
};

}  // namespace

std::vector<int> open_object(Random& random, const Surroundings& around) {
  return kOpeners[random.below(std::size(kOpeners))](random, around);
}

}  // namespace random_tree
