// Pseudoterminals with both ends here: settings, window size, packet mode, locks, unread data in
// both directions (raw, lines, end of file, a line being typed), closed and hung-up slaves.
#include <asm/termbits.h>
#include <poll.h>
#include <sys/ioctl.h>

#include <vector>

#include "tests/victims/victim.h"

namespace {

struct Pair {
  int master = -1;
  int slave = -1;
  int index = -1;
};

std::string slave_path(int index) { return "/dev/pts/" + std::to_string(index); }

Pair open_master(victim::Victim& self) {
  Pair pair;
  pair.master = open("/dev/ptmx", O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);
  if (pair.master < 0) self.skip("no /dev/ptmx");
  self.must(ioctl(pair.master, TIOCGPTN, &pair.index) == 0, "TIOCGPTN");
  return pair;
}

Pair open_pair(victim::Victim& self) {
  Pair pair = open_master(self);
  const int unlock = 0;
  self.must(ioctl(pair.master, TIOCSPTLCK, &unlock) == 0, "unlock");
  pair.slave = open(slave_path(pair.index).c_str(), O_RDWR | O_NOCTTY | O_NONBLOCK);
  self.must(pair.slave >= 0, "open the slave");
  return pair;
}

termios2 settings_of(int fd) {
  termios2 settings{};
  ioctl(fd, TCGETS2, &settings);
  return settings;
}

void make_raw(victim::Victim& self, int fd) {
  auto settings = settings_of(fd);
  settings.c_iflag = 0;
  settings.c_lflag = 0;
  settings.c_oflag = 0;
  self.must(ioctl(fd, TCSETS2, &settings) == 0, "raw mode");
}

// All there is to read, in the pieces it comes in; "<eof>" for a read of nothing, then stops.
std::vector<std::string> pieces(int fd, size_t most = 65536) {
  std::vector<std::string> found;
  std::string buffer(most, '\0');
  for (;;) {
    pollfd poll_fd{fd, POLLIN, 0};
    (void)poll(&poll_fd, 1, 20);
    const auto got = read(fd, buffer.data(), buffer.size());
    if (got < 0) return found;
    found.push_back(got == 0 ? "<eof>" : buffer.substr(0, static_cast<size_t>(got)));
    if (found.size() > 100) return found;
  }
}

std::string joined(const std::vector<std::string>& parts) {
  std::string text;
  for (const auto& part : parts) text += part;
  return text;
}

std::string numbers(size_t bytes) {
  std::string text;
  for (int i = 0; text.size() < bytes; ++i) text += std::to_string(i) + "\n";
  text.resize(bytes);
  return text;
}

void put(victim::Victim& self, int fd, const std::string& text) {
  for (size_t done = 0; done < text.size();) {
    // Room comes as the kernel's workers move what was written before.
    pollfd poll_fd{fd, POLLOUT, 0};
    (void)poll(&poll_fd, 1, 5000);
    const auto wrote = write(fd, text.data() + done, text.size() - done);
    self.must(wrote > 0 || (wrote < 0 && errno == EAGAIN && (poll_fd.revents & POLLOUT) != 0),
              "write into a terminal");
    if (wrote > 0) done += static_cast<size_t>(wrote);
  }
}

// Input goes through the kernel's workers: the caller waits for it to arrive.
void await(victim::Victim& self, int fd, int bytes) {
  int there = 0;
  for (int i = 0; i < 2000; ++i) {
    if (ioctl(fd, FIONREAD, &there) == 0 && there >= bytes) return;
    victim::Victim::pause_ms(1);
  }
  self.must(false, "input did not arrive");
}

short events(int fd) {
  pollfd poll_fd{fd, POLLIN | POLLPRI | POLLOUT, 0};
  (void)poll(&poll_fd, 1, 0);
  return poll_fd.revents;
}

const winsize kSize{33, 77, 330, 770};
const std::string kBinary("\0\x03\x04\x11\x13\x16\x1a\r\n\xff\x7f end", 15);

struct Pairs {
  Pair raw, lines, loud, busy, packet, closed, fresh, exclusive, hung;
  int second = -1;  // another open of the raw slave
  int copy = -1;    // dup of that
  const std::string much = numbers(9000);
};

void open_raw(victim::Victim& self, Pairs& p) {
  // Raw, with data both ways, two opens of the slave, one of them twice.
  p.raw = open_pair(self);
  auto settings = settings_of(p.raw.slave);
  make_raw(self, p.raw.slave);
  settings = settings_of(p.raw.slave);
  settings.c_cc[VMIN] = 5;
  settings.c_cc[VTIME] = 7;
  settings.c_ispeed = settings.c_ospeed = 12345;
  settings.c_cflag = (settings.c_cflag & ~static_cast<tcflag_t>(CBAUD)) | BOTHER;
  self.must(ioctl(p.raw.slave, TCSETS2, &settings) == 0, "TCSETS2");
  self.must(ioctl(p.raw.master, TIOCSWINSZ, &kSize) == 0, "TIOCSWINSZ");
  p.second = open(slave_path(p.raw.index).c_str(), O_RDONLY | O_NOCTTY);
  p.copy = dup(p.second);
  put(self, p.raw.master, kBinary);
  put(self, p.raw.slave, kBinary + "out");
  await(self, p.raw.slave, 15);
  await(self, p.raw.master, 18);
  self.must(fchmod(p.raw.slave, 0620) == 0, "fchmod");
}

void open_others(victim::Victim& self, Pairs& p) {
  // Lines, the end of a file, and a line that is still being typed.
  p.lines = open_pair(self);
  auto settings = settings_of(p.lines.slave);
  settings.c_lflag &= ~static_cast<tcflag_t>(ECHO);
  settings.c_cc[VEOL] = '!';
  self.must(ioctl(p.lines.slave, TCSETS2, &settings) == 0, "TCSETS2");
  put(self, p.lines.master,
      "first\nsecond!\x04no newline\x04quoted \x16\x03 and \x16\n in it\nedit");
  put(self, p.lines.slave, "col\tumn\n");
  await(self, p.lines.slave, 6 + 7 + 10 + 21);

  // More output than one buffer takes; nobody has read it.
  p.loud = open_pair(self);
  make_raw(self, p.loud.slave);
  put(self, p.loud.slave, p.much);

  // More raw input than one buffer takes.
  p.busy = open_pair(self);
  make_raw(self, p.busy.slave);
  put(self, p.busy.master, p.much);
  await(self, p.busy.slave, 4095);

  // Packet mode.
  p.packet = open_pair(self);
  make_raw(self, p.packet.slave);
  const int on = 1;
  self.must(ioctl(p.packet.master, TIOCPKT, &on) == 0, "TIOCPKT");
  put(self, p.packet.slave, "packet");
  await(self, p.packet.master, 6);

  // The slave is closed; what it wrote is not read yet.
  p.closed = open_pair(self);
  make_raw(self, p.closed.slave);
  put(self, p.closed.slave, "last words");
  await(self, p.closed.master, 10);
  close(p.closed.slave);

  // Locked and never opened; exclusive and locked while open.
  p.fresh = open_master(self);
  p.exclusive = open_pair(self);
  self.must(ioctl(p.exclusive.slave, TIOCEXCL) == 0, "TIOCEXCL");
  self.must(ioctl(p.exclusive.master, TIOCSPTLCK, &on) == 0, "TIOCSPTLCK");

  // Hung up.
  p.hung = open_pair(self);
  close(p.hung.master);
}

void check_raw(victim::Victim& self, const Pairs& p) {
  int number = -1;
  for (const Pair* pair : std::vector<const Pair*>{&p.raw, &p.lines, &p.loud, &p.busy, &p.packet,
                                                   &p.closed, &p.fresh, &p.exclusive})
    self.expect(ioctl(pair->master, TIOCGPTN, &number) == 0 && number == pair->index,
                "pair %d is %d now", pair->index, number);

  const auto settings = settings_of(p.copy);
  self.expect(settings.c_cc[VMIN] == 5 && settings.c_cc[VTIME] == 7 && settings.c_lflag == 0 &&
                  settings.c_ospeed == 12345,
              "termios: min %d time %d speed %u", settings.c_cc[VMIN], settings.c_cc[VTIME],
              settings.c_ospeed);
  winsize now{};
  ioctl(p.copy, TIOCGWINSZ, &now);
  self.expect(memcmp(&now, &kSize, sizeof now) == 0, "window size %d x %d", now.ws_row, now.ws_col);
  struct stat st {};
  fstat(p.raw.slave, &st);
  self.expect_equal("mode of the slave", 0620, st.st_mode & 07777);
  fcntl(p.copy, F_SETFL, O_RDONLY | O_NONBLOCK);
  self.expect((fcntl(p.second, F_GETFL) & O_NONBLOCK) != 0, "the dup'ed slave came apart");
  self.expect(joined(pieces(p.second)) == kBinary, "raw input");
  self.expect(joined(pieces(p.raw.master)) == kBinary + "out", "raw output");
  put(self, p.raw.master, "again");
  self.expect(joined(pieces(p.raw.slave)) == "again", "input after the restore");
}

void check_buffers(victim::Victim& self, const Pairs& p) {
  auto found = pieces(p.lines.slave);
  const std::vector<std::string> expected = {"first\n", "second!", "<eof>", "no newline",
                                             "quoted \x03 and \n in it\n"};
  self.expect(found == expected, "lines: %zu pieces: %s", found.size(), joined(found).c_str());
  put(self, p.lines.master, "ing\x7f!\n");
  self.expect(joined(pieces(p.lines.slave)) == "editin!\n", "the line being typed");
  self.expect(joined(pieces(p.lines.master)) == "col\tumn\r\n", "processed output");

  self.expect(joined(pieces(p.loud.master)) == p.much, "much output");
  self.expect(joined(pieces(p.busy.slave)) == p.much, "much input");

  self.expect(joined(pieces(p.packet.master)) == std::string("\0packet", 7), "packet");
  ioctl(p.packet.slave, TCFLSH, 0);
  self.expect((events(p.packet.master) & POLLPRI) != 0, "packet mode is off");
}

void check_closed_and_locked(victim::Victim& self, const Pairs& p) {
  self.expect((events(p.closed.master) & POLLHUP) != 0, "the closed slave is open");
  self.expect(joined(pieces(p.closed.master)) == "last words", "output of a closed slave");
  char byte = 0;
  self.expect(read(p.closed.master, &byte, 1) < 0 && errno == EIO, "read after the last words");

  self.expect((events(p.fresh.master) & POLLHUP) == 0, "a slave nobody opened is hung up");
  self.expect(open(slave_path(p.fresh.index).c_str(), O_RDWR | O_NOCTTY) < 0 && errno == EIO,
              "the lock is off");
  const int unlock = 0;
  ioctl(p.fresh.master, TIOCSPTLCK, &unlock);
  self.expect(open(slave_path(p.fresh.index).c_str(), O_RDWR | O_NOCTTY) >= 0, "after unlocking");
  int state = 0;
  self.expect(ioctl(p.exclusive.slave, TIOCGEXCL, &state) == 0 && state == 1, "exclusive mode");
  self.expect(ioctl(p.exclusive.master, TIOCGPTLCK, &state) == 0 && state == 1, "lock");

  self.expect(read(p.hung.slave, &byte, 1) == 0, "read of a hung-up slave");
  self.expect(write(p.hung.slave, &byte, 1) < 0 && errno == EIO, "write of a hung-up slave");
}

}  // namespace

int main(int argc, char** argv) {
  victim::Victim self(argc, argv);
  Pairs pairs;
  open_raw(self, pairs);
  open_others(self, pairs);
  self.ready_and_wait();
  check_raw(self, pairs);
  check_buffers(self, pairs);
  check_closed_and_locked(self, pairs);
  return self.finish();
}
