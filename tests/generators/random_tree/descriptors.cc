#include "tests/generators/random_tree/descriptors.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <termios.h>
#include <unistd.h>

#include <algorithm>
#include <cctype>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <numeric>
#include <string>

#include "tests/generators/random_tree/random.h"

namespace random_tree {
namespace {

constexpr int kMostNumbers = 1024;

// The name without what differs from one kernel object to the next that is like it.
std::string link_of(int fd) {
  char text[4096];
  const ssize_t length =
      readlink(("/proc/self/fd/" + std::to_string(fd)).c_str(), text, sizeof(text) - 1);
  std::string link(text, length < 0 ? 0 : static_cast<size_t>(length));
  const size_t inode = link.find(":[");
  if (inode != std::string::npos && isdigit(link[inode + 2]) != 0) link.resize(inode);
  // A deleted file keeps its folder only.
  if (link[0] == '/' && link.ends_with(" (deleted)") && !link.starts_with("/memfd:"))
    link = link.substr(0, link.rfind('/')) + "/(deleted)";
  return link;
}

enum class Sort { kFile, kPipe, kSocket, kTerminal, kEvent, kOther };

Sort sort_of(int fd, const std::string& link) {
  struct stat status {};
  if ((fcntl(fd, F_GETFL) & O_PATH) != 0 || fstat(fd, &status) != 0) return Sort::kOther;
  if (S_ISFIFO(status.st_mode)) return Sort::kPipe;
  if (S_ISSOCK(status.st_mode)) return Sort::kSocket;
  if (S_ISREG(status.st_mode) && !link.starts_with("/proc/")) return Sort::kFile;
  if (isatty(fd) != 0) return Sort::kTerminal;
  return link == "anon_inode:[eventfd]" ? Sort::kEvent : Sort::kOther;
}

bool ready(int fd, short events) {
  pollfd one{fd, events, 0};
  return poll(&one, 1, 0) == 1 && (one.revents & events) != 0;
}

int waiting_bytes(int fd) {
  int count = -1;
  return ioctl(fd, FIONREAD, &count) == 0 ? count : -1;
}

uint64_t content_hash(int fd) {
  std::string bytes(1 << 16, '\0');
  const ssize_t got = pread(fd, bytes.data(), bytes.size(), 0);
  return got < 0 ? static_cast<uint64_t>(errno) : hash_of(bytes.data(), static_cast<size_t>(got));
}

// Lines of fdinfo that are state; of time left the thousands of seconds, since it runs on.
std::string details(int fd) {
  std::ifstream file("/proc/self/fdinfo/" + std::to_string(fd));
  std::vector<std::string> lines;
  for (std::string line; std::getline(file, line);) {
    const std::string key = line.substr(0, line.find(':'));
    std::string value = line.substr(std::min(line.size(), key.size() + 1));
    if (key == "it_value" || key == "it_interval") {
      value = std::to_string(atol(value.c_str() + value.find('(') + 1) / 1000);
    } else if (key == "tfd" || key.starts_with("inotify")) {
      // Inodes and devices follow; a watch's mask does not.
      line = line.substr(0, line.find(" pos:"));
      const size_t inode = line.find(" ino:"), mask = line.find(" mask:");
      value = inode == std::string::npos ? line : line.substr(0, inode) + line.substr(mask, 11);
    } else if (key != "eventfd-count" && key != "eventfd-semaphore" && key != "sigmask" &&
               key != "clockid" && key != "ticks" && key != "Pid" && key != "frozen") {
      continue;
    }
    lines.push_back(" " + key + value);
  }
  // Watches are listed in no order that means anything.
  std::sort(lines.begin(), lines.end());
  return std::accumulate(lines.begin(), lines.end(), std::string());
}

// Who has ended can't make its socket pairs again.
pid_t if_alive(pid_t pid) {
  std::ifstream file("/proc/" + std::to_string(pid) + "/stat");
  std::string text;
  std::getline(file, text);
  return text.find(") Z ") == std::string::npos ? pid : -1;
}

void look_at_socket(int fd, const std::string& at, Report& report) {
  int type = 0, error = 0;
  socklen_t length = sizeof(int);
  getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &length);
  char bytes[2048];
  // A pending error would be told, and forgotten.
  const bool failed = ready(fd, POLLERR);
  const ssize_t got = failed ? -1 : recv(fd, bytes, sizeof(bytes), MSG_PEEK | MSG_DONTWAIT);
  if (got < 0) error = failed ? -1 : errno;
  ucred peer{};
  length = sizeof(peer);
  getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &length);
  report.line("%s socket type %d next %zd error %d hash %lx peer %d", at.c_str(), type, got, error,
              got > 0 ? hash_of(bytes, static_cast<size_t>(got)) : 0UL, if_alive(peer.pid));
}

void look_at(int fd, const std::string& at, Report& report) {
  const std::string link = link_of(fd);
  f_owner_ex owner{};
  fcntl(fd, F_GETOWN_EX, &owner);
  report.line("%s %s flags %o close-on-exec %d owner %d/%d signal %d%s", at.c_str(), link.c_str(),
              fcntl(fd, F_GETFL) & ~O_TMPFILE, fcntl(fd, F_GETFD), owner.pid == 0 ? 0 : owner.type,
              owner.pid, fcntl(fd, F_GETSIG), details(fd).c_str());
  switch (sort_of(fd, link)) {
    case Sort::kFile:
      report.line("%s file position %ld seals %d content %lx", at.c_str(), lseek(fd, 0, SEEK_CUR),
                  fcntl(fd, F_GET_SEALS), content_hash(fd));
      break;
    case Sort::kPipe:
      report.line("%s pipe bytes %d capacity %d readable %d writable %d hung up %d", at.c_str(),
                  waiting_bytes(fd), fcntl(fd, F_GETPIPE_SZ), ready(fd, POLLIN), ready(fd, POLLOUT),
                  ready(fd, POLLHUP | POLLERR));
      break;
    case Sort::kSocket:
      look_at_socket(fd, at, report);
      break;
    case Sort::kTerminal: {
      winsize size{};
      ioctl(fd, TIOCGWINSZ, &size);
      termios settings{};
      tcgetattr(fd, &settings);
      report.line("%s terminal rows %d columns %d modes %x %x %x", at.c_str(), size.ws_row,
                  size.ws_col, settings.c_iflag, settings.c_oflag, settings.c_lflag);
      break;
    }
    default:
      break;
  }
}

void drain_pipe(int fd, const std::string& at, Report& report) {
  if ((fcntl(fd, F_GETFL) & O_ACCMODE) == O_WRONLY) return;
  std::string bytes(1 << 16, '\0');
  while (waiting_bytes(fd) > 0) {
    const ssize_t got = read(fd, bytes.data(), bytes.size());
    if (got <= 0) break;
    report.line("%s read %zd: %lx", at.c_str(), got,
                hash_of(bytes.data(), static_cast<size_t>(got)));
  }
}

void drain_socket(int fd, const std::string& at, Report& report, int depth) {
  for (;;) {
    char bytes[2048], control[CMSG_SPACE(sizeof(int) * 8) + CMSG_SPACE(sizeof(ucred))];
    iovec part{bytes, sizeof(bytes)};
    msghdr message{};
    message.msg_iov = &part;
    message.msg_iovlen = 1;
    message.msg_control = control;
    message.msg_controllen = sizeof(control);
    const ssize_t got = recvmsg(fd, &message, MSG_DONTWAIT);
    report.line("%s received %zd (%d): %lx", at.c_str(), got, got < 0 ? errno : 0,
                got > 0 ? hash_of(bytes, static_cast<size_t>(got)) : 0UL);
    if (got <= 0) return;
    const cmsghdr* rights = CMSG_FIRSTHDR(&message);
    if (rights == nullptr || rights->cmsg_type != SCM_RIGHTS) continue;
    const size_t count = (rights->cmsg_len - CMSG_LEN(0)) / sizeof(int);
    for (size_t i = 0; i < count; ++i) {
      int number;
      memcpy(&number, CMSG_DATA(rights) + i * sizeof(int), sizeof(int));
      look_at(number, at + " with", report);
      const std::string link = link_of(number);
      if (sort_of(number, link) == Sort::kPipe) drain_pipe(number, at + " with", report);
      if (sort_of(number, link) == Sort::kSocket && depth < 4)
        drain_socket(number, at + " with", report, depth + 1);
      close(number);
    }
  }
}

// Without waiting, whatever the flags of the description are.
void drain_terminal(int fd, const std::string& at, Report& report) {
  while (ready(fd, POLLIN)) {
    char bytes[512];
    const ssize_t got = read(fd, bytes, sizeof(bytes));
    if (got <= 0) return;
    report.line("%s read %zd: %lx", at.c_str(), got, hash_of(bytes, static_cast<size_t>(got)));
  }
}

}  // namespace

std::vector<int> open_numbers() {
  std::vector<int> found;
  for (int fd = 3; fd < kMostNumbers; ++fd)
    if (fcntl(fd, F_GETFD) >= 0) found.push_back(fd);
  return found;
}

void look_at_descriptors(Report& report) {
  for (const int fd : open_numbers()) look_at(fd, std::to_string(fd), report);
}

void poke_descriptors() {
  for (const int fd : open_numbers()) {
    const Sort sort = sort_of(fd, link_of(fd));
    const bool writable = (fcntl(fd, F_GETFL) & O_ACCMODE) != O_RDONLY && ready(fd, POLLOUT);
    const uint64_t one = 1;
    if (sort == Sort::kFile) lseek(fd, 1, SEEK_CUR);
    if (sort == Sort::kPipe && writable) (void)!write(fd, "poke", 4);
    if (sort == Sort::kEvent) (void)!write(fd, &one, sizeof(one));
    if (sort == Sort::kSocket) send(fd, "poke", 4, MSG_DONTWAIT | MSG_NOSIGNAL);
  }
}

void drain_descriptors(Report& report) {
  for (const int fd : open_numbers()) {
    const std::string at = std::to_string(fd);
    uint64_t count = 0;
    switch (sort_of(fd, link_of(fd))) {
      case Sort::kPipe:
        drain_pipe(fd, at, report);
        break;
      case Sort::kSocket:
        drain_socket(fd, at, report, 0);
        break;
      case Sort::kTerminal:
        drain_terminal(fd, at, report);
        break;
      case Sort::kEvent:
        if (ready(fd, POLLIN) && read(fd, &count, sizeof(count)) == sizeof(count))
          report.line("%s count %lu", at.c_str(), count);
        break;
      default:
        break;
    }
  }
}

}  // namespace random_tree
