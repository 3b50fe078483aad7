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

}  // namespace

int main(int argc, char** argv) {
  victim::Victim self(argc, argv);

  // Raw, with data both ways, two opens of the slave, one of them twice.
  const Pair raw = open_pair(self);
  auto settings = settings_of(raw.slave);
  make_raw(self, raw.slave);
  settings = settings_of(raw.slave);
  settings.c_cc[VMIN] = 5;
  settings.c_cc[VTIME] = 7;
  settings.c_ispeed = settings.c_ospeed = 12345;
  settings.c_cflag = (settings.c_cflag & ~static_cast<tcflag_t>(CBAUD)) | BOTHER;
  self.must(ioctl(raw.slave, TCSETS2, &settings) == 0, "TCSETS2");
  const winsize size{33, 77, 330, 770};
  self.must(ioctl(raw.master, TIOCSWINSZ, &size) == 0, "TIOCSWINSZ");
  const int second = open(slave_path(raw.index).c_str(), O_RDONLY | O_NOCTTY);
  const int copy = dup(second);
  const std::string binary("\0\x03\x04\x11\x13\x16\x1a\r\n\xff\x7f end", 15);
  put(self, raw.master, binary);
  put(self, raw.slave, binary + "out");
  await(self, raw.slave, 15);
  await(self, raw.master, 18);
  self.must(fchmod(raw.slave, 0620) == 0, "fchmod");

  // Lines, the end of a file, and a line that is still being typed.
  const Pair lines = open_pair(self);
  settings = settings_of(lines.slave);
  settings.c_lflag &= ~static_cast<tcflag_t>(ECHO);
  settings.c_cc[VEOL] = '!';
  self.must(ioctl(lines.slave, TCSETS2, &settings) == 0, "TCSETS2");
  put(self, lines.master, "first\nsecond!\x04no newline\x04quoted \x16\x03 and \x16\n in it\nedit");
  put(self, lines.slave, "col\tumn\n");
  await(self, lines.slave, 6 + 7 + 10 + 21);

  // More output than one buffer takes; nobody has read it.
  const Pair loud = open_pair(self);
  make_raw(self, loud.slave);
  const std::string much = numbers(9000);
  put(self, loud.slave, much);

  // More raw input than one buffer takes.
  const Pair busy = open_pair(self);
  make_raw(self, busy.slave);
  put(self, busy.master, much);
  await(self, busy.slave, 4095);

  // Packet mode.
  const Pair packet = open_pair(self);
  make_raw(self, packet.slave);
  const int on = 1;
  self.must(ioctl(packet.master, TIOCPKT, &on) == 0, "TIOCPKT");
  put(self, packet.slave, "packet");
  await(self, packet.master, 6);

  // The slave is closed; what it wrote is not read yet.
  Pair closed = open_pair(self);
  make_raw(self, closed.slave);
  put(self, closed.slave, "last words");
  await(self, closed.master, 10);
  close(closed.slave);

  // Locked and never opened; exclusive and locked while open.
  const Pair fresh = open_master(self);
  const Pair exclusive = open_pair(self);
  self.must(ioctl(exclusive.slave, TIOCEXCL) == 0, "TIOCEXCL");
  self.must(ioctl(exclusive.master, TIOCSPTLCK, &on) == 0, "TIOCSPTLCK");

  // Hung up.
  Pair hung = open_pair(self);
  close(hung.master);

  self.ready_and_wait();

  int number = -1;
  for (const Pair* pair :
       std::vector<const Pair*>{&raw, &lines, &loud, &busy, &packet, &closed, &fresh, &exclusive})
    self.expect(ioctl(pair->master, TIOCGPTN, &number) == 0 && number == pair->index,
                "pair %d is %d now", pair->index, number);

  settings = settings_of(copy);
  self.expect(settings.c_cc[VMIN] == 5 && settings.c_cc[VTIME] == 7 && settings.c_lflag == 0 &&
                  settings.c_ospeed == 12345,
              "termios: min %d time %d speed %u", settings.c_cc[VMIN], settings.c_cc[VTIME],
              settings.c_ospeed);
  winsize now{};
  ioctl(copy, TIOCGWINSZ, &now);
  self.expect(memcmp(&now, &size, sizeof now) == 0, "window size %d x %d", now.ws_row, now.ws_col);
  struct stat st {};
  fstat(raw.slave, &st);
  self.expect_equal("mode of the slave", 0620, st.st_mode & 07777);
  fcntl(copy, F_SETFL, O_RDONLY | O_NONBLOCK);
  self.expect((fcntl(second, F_GETFL) & O_NONBLOCK) != 0, "the dup'ed slave came apart");
  self.expect(joined(pieces(second)) == binary, "raw input");
  self.expect(joined(pieces(raw.master)) == binary + "out", "raw output");
  put(self, raw.master, "again");
  self.expect(joined(pieces(raw.slave)) == "again", "input after the restore");

  auto found = pieces(lines.slave);
  const std::vector<std::string> expected = {"first\n", "second!", "<eof>", "no newline",
                                             "quoted \x03 and \n in it\n"};
  self.expect(found == expected, "lines: %zu pieces: %s", found.size(), joined(found).c_str());
  put(self, lines.master, "ing\x7f!\n");
  self.expect(joined(pieces(lines.slave)) == "editin!\n", "the line being typed");
  self.expect(joined(pieces(lines.master)) == "col\tumn\r\n", "processed output");

  self.expect(joined(pieces(loud.master)) == much, "much output");
  self.expect(joined(pieces(busy.slave)) == much, "much input");

  self.expect(joined(pieces(packet.master)) == std::string("\0packet", 7), "packet");
  ioctl(packet.slave, TCFLSH, 0);
  self.expect((events(packet.master) & POLLPRI) != 0, "packet mode is off");

  self.expect((events(closed.master) & POLLHUP) != 0, "the closed slave is open");
  self.expect(joined(pieces(closed.master)) == "last words", "output of a closed slave");
  char byte = 0;
  self.expect(read(closed.master, &byte, 1) < 0 && errno == EIO, "read after the last words");

  self.expect((events(fresh.master) & POLLHUP) == 0, "a slave nobody opened is hung up");
  self.expect(open(slave_path(fresh.index).c_str(), O_RDWR | O_NOCTTY) < 0 && errno == EIO,
              "the lock is off");
  const int unlock = 0;
  ioctl(fresh.master, TIOCSPTLCK, &unlock);
  self.expect(open(slave_path(fresh.index).c_str(), O_RDWR | O_NOCTTY) >= 0, "after unlocking");
  int state = 0;
  self.expect(ioctl(exclusive.slave, TIOCGEXCL, &state) == 0 && state == 1, "exclusive mode");
  self.expect(ioctl(exclusive.master, TIOCGPTLCK, &state) == 0 && state == 1, "lock");

  self.expect(read(hung.slave, &byte, 1) == 0, "read of a hung-up slave");
  self.expect(write(hung.slave, &byte, 1) < 0 && errno == EIO, "write of a hung-up slave");
  return self.finish();
}
