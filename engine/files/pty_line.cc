#include "engine/files/pty_line.h"

#include <poll.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

namespace cryostat::files {

namespace {

// Characters with a meaning while lines are typed in again; any of them in the data is quoted.
constexpr uint8_t kEndOfFile = 4;
constexpr uint8_t kQuote = 0x16;

// Bytes pass as they are: no line editing, no signals, no echo, no translation.
struct termios2 raw_settings(const struct termios2& settings) {
  auto raw = settings;
  raw.c_iflag = 0;
  raw.c_lflag = 0;
  raw.c_cc[VMIN] = 1;
  raw.c_cc[VTIME] = 0;
  return raw;
}

// Lines are put together as before, but silently, and only the quote, the end of file and what ends
// a line have a meaning.
struct termios2 typing_settings(const struct termios2& settings) {
  auto typing = settings;
  typing.c_iflag = 0;
  typing.c_lflag = ICANON | IEXTEN;
  for (auto& character : typing.c_cc) character = 0;  // 0: none (_POSIX_VDISABLE)
  typing.c_cc[VEOF] = kEndOfFile;
  typing.c_cc[VLNEXT] = kQuote;
  typing.c_cc[VEOL] = settings.c_cc[VEOL];
  typing.c_cc[VEOL2] = settings.c_cc[VEOL2];
  return typing;
}

void settle(int fd) {
  // Polling an empty terminal waits for input on its way to the line discipline (n_tty_poll()).
  struct pollfd poll_fd = {fd, POLLIN, 0};
  (void)poll(&poll_fd, 1, 0);
}

void await_room(int fd, int timeout_ms) {
  struct pollfd poll_fd = {fd, POLLOUT, 0};
  (void)poll(&poll_fd, 1, timeout_ms);
}

}  // namespace

int unread_bytes(int fd) {
  int bytes = 0;
  return ioctl(fd, FIONREAD, &bytes) == 0 ? bytes : -1;
}

bool may_write(int slave) {
  struct pollfd poll_fd = {slave, POLLOUT, 0};
  return poll(&poll_fd, 1, 0) == 1 && (poll_fd.revents & POLLOUT) != 0;
}

bool PtyLine::failed(const char* what) {
  if (failure_.what == nullptr) failure_ = {what, errno};
  return false;
}

bool PtyLine::set(const struct termios2& settings) {
  return ioctl(fds_.slave, TCSETS2, &settings) == 0 || failed("set the terminal's mode");
}

bool PtyLine::ends_line(uint8_t byte) const {
  if (byte == '\n') return true;
  return byte != 0 && (byte == settings_.c_cc[VEOL] || byte == settings_.c_cc[VEOL2]);
}

// Whole lines, one a read, while the mode is the target's own.
bool PtyLine::take_pieces() {
  while (queues_.pieces_used < queues_.pieces.size() - 1 &&
         queues_.input_bytes + kLineBytes < queues_.input.size()) {
    auto* const data = queues_.input.data() + queues_.input_bytes;
    const auto got = read(fds_.slave, data, kLineBytes + 1);
    if (got < 0) return errno == EAGAIN || failed("read a line of the terminal");
    const bool line = got > 0 && ends_line(data[got - 1]);
    queues_.pieces[queues_.pieces_used++] = {static_cast<uint32_t>(got),
                                             line ? PieceEnd::kLine : PieceEnd::kEndOfFile};
    queues_.input_bytes += static_cast<uint32_t>(got);
  }
  errno = EOVERFLOW;
  return failed("read the lines of the terminal");
}

// Everything that is left, as one piece.
bool PtyLine::take_rest() {
  const auto before = queues_.input_bytes;
  for (;;) {
    const auto room = queues_.input.size() - queues_.input_bytes;
    const auto got = read(fds_.slave, queues_.input.data() + queues_.input_bytes, room);
    if (got < 0 && errno != EAGAIN) return failed("read the terminal's input");
    if (got <= 0) break;
    queues_.input_bytes += static_cast<uint32_t>(got);
  }
  if (queues_.input_bytes != before)
    queues_.pieces[queues_.pieces_used++] = {queues_.input_bytes - before, PieceEnd::kOpen};
  return true;
}

bool PtyLine::take_input() {
  if (canonical() && !take_pieces()) return false;
  // A line still being typed can only be read in raw mode; so can raw input, whatever VMIN says.
  return set(raw_settings(settings_)) && take_rest();
}

bool PtyLine::take_output() {
  for (;;) {
    int waiting = unread_bytes(fds_.master);
    if (waiting == 0) {
      settle(fds_.master);
      waiting = unread_bytes(fds_.master);
    }
    if (waiting < 0) return failed("FIONREAD on a pseudoterminal");
    if (waiting == 0) return true;
    const auto room = queues_.output.size() - queues_.output_bytes;
    if (room == 0) {
      errno = EOVERFLOW;
      return failed("read a pseudoterminal's output");
    }
    // Never more than is there: the target's description may be one that waits.
    const auto got = read(fds_.master, queues_.output.data() + queues_.output_bytes,
                          std::min(room, static_cast<size_t>(waiting)));
    if (got <= 0) return failed("read a pseudoterminal's output");
    queues_.output_bytes += static_cast<uint32_t>(got);
  }
}

bool PtyLine::type(int fd, uint8_t byte) {
  return ioctl(fd, TIOCSTI, &byte) == 0 || failed("put input into the terminal");
}

bool PtyLine::type_lines() {
  const auto* byte = queues_.input.data();
  for (uint32_t i = 0; i < queues_.pieces_used; ++i) {
    const auto& piece = queues_.pieces[i];
    for (uint32_t k = 0; k < piece.bytes; ++k, ++byte) {
      const bool last = k + 1 == piece.bytes && piece.end == PieceEnd::kLine;
      const bool special = ends_line(*byte) || *byte == kQuote || *byte == kEndOfFile;
      if (special && !last && !type(fds_.slave, kQuote)) return false;
      if (!type(fds_.slave, *byte)) return false;
    }
    if (piece.end == PieceEnd::kEndOfFile && !type(fds_.slave, kEndOfFile)) return false;
  }
  return true;
}

bool PtyLine::type_all(int fd, std::span<const uint8_t> bytes) {
  for (const auto byte : bytes)
    if (!type(fd, byte)) return false;
  return true;
}

// Whatever fails, the settings are the target's again.
bool PtyLine::put_input() {
  const std::span<const uint8_t> bytes(queues_.input.data(), queues_.input_bytes);
  const auto held = bytes.first(std::min(bytes.size(), kLineBytes));
  const bool typed = canonical() ? set(typing_settings(settings_)) && type_lines()
                                 : set(raw_settings(settings_)) && type_all(fds_.slave, held);
  if (!set(settings_) || !typed || canonical()) return typed && failure_.what == nullptr;
  // The rest waited in front of the line discipline. It is only taken when passing it changes
  // nothing, so it may pass again.
  return write_all(fds_.master, bytes.subspan(held.size()));
}

bool PtyLine::put_output() {
  const std::span<const uint8_t> bytes(queues_.output.data(), queues_.output_bytes);
  const auto held = bytes.first(std::min(bytes.size(), kLineBytes));
  if (!type_all(fds_.master, held)) return false;
  if (held.size() == bytes.size()) return true;
  auto plain = settings_;
  plain.c_oflag &= ~static_cast<tcflag_t>(OPOST);
  const bool written = set(plain) && write_all(fds_.slave, bytes.subspan(held.size()));
  return set(settings_) && written;
}

// Neither descriptor may wait. Pieces of this size leave the least of the kernel's buffers unused.
bool PtyLine::write_all(int fd, std::span<const uint8_t> bytes) {
  constexpr size_t kPieceBytes = 1024;
  constexpr int kPatience = 20;  // times 5 ms for the kernel's workers to make room
  for (int refused = 0; !bytes.empty();) {
    const auto wrote = write(fd, bytes.data(), std::min(bytes.size(), kPieceBytes));
    if (wrote > 0) {
      bytes = bytes.subspan(static_cast<size_t>(wrote));
      refused = 0;
    } else if (wrote < 0 && errno == EAGAIN && ++refused < kPatience) {
      await_room(fd, 5);
    } else {
      rest_fd_ = fd;
      rest_ = bytes;
      return failed("put back all that was in a pseudoterminal");
    }
  }
  return true;
}

void PtyLine::feed() {
  while (!rest_.empty()) {
    await_room(rest_fd_, -1);
    const auto wrote = write(rest_fd_, rest_.data(), rest_.size());
    if (wrote < 0 && errno != EAGAIN) return;
    if (wrote > 0) rest_ = rest_.subspan(static_cast<size_t>(wrote));
  }
}

}  // namespace cryostat::files
