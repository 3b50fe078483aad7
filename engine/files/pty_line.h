// The steps in which the queues of a pseudoterminal are emptied and filled. They run in a forked
// child as well, so they are plain system calls on memory that is there before.
#pragma once

#include <asm/termbits.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

#include "engine/files/pty_queue.h"

namespace cryostat::files {

// The line discipline holds this much input (drivers/tty/n_tty.c, N_TTY_BUF_SIZE less one); what
// comes after waits unprocessed in front of it.
constexpr size_t kLineBytes = 4095;

// What ends a piece of input; the values of pb::PtyInput::End.
enum class PieceEnd : uint8_t { kOpen = 0, kLine = 1, kEndOfFile = 2 };

struct Piece {
  uint32_t bytes = 0;
  PieceEnd end = PieceEnd::kOpen;
};

// The content of both queues. Large: lives in a mapping.
struct PtyQueues {
  // One side of the kernel's buffers takes 64 KiB.
  static constexpr size_t kBytes = 96 * 1024;
  uint32_t input_bytes = 0;  // towards the slave
  uint32_t pieces_used = 0;
  uint32_t output_bytes = 0;  // towards the master
  std::array<Piece, kLineBytes + 2> pieces = {};
  std::array<uint8_t, kBytes> input = {};
  std::array<uint8_t, kBytes> output = {};
};

// Where it went wrong; nullptr: it did not.
struct StepFailure {
  const char* what = nullptr;
  int error = 0;
};

class PtyLine {
 public:
  // `settings`: the slave's termios, put back by every step that changes them.
  PtyLine(PtyFds fds, const struct termios2& settings, PtyQueues& queues)
      : fds_(fds), settings_(settings), queues_(queues) {}

  // Each returns false and remembers why when a call fails.
  bool take_input();
  bool take_output();
  bool put_input();
  bool put_output();
  const StepFailure& failure() const { return failure_; }

  // Something did not fit back: how the target filled the kernel's buffers decides how much they
  // take. feed() goes on as room comes, for as long as that lasts.
  bool has_rest() const { return !rest_.empty(); }
  void feed();

 private:
  bool failed(const char* what);
  bool set(const struct termios2& settings);
  bool take_pieces();
  bool take_rest();
  bool type(int fd, uint8_t byte);
  bool type_lines();
  bool type_all(int fd, std::span<const uint8_t> bytes);
  bool write_all(int fd, std::span<const uint8_t> bytes);
  bool canonical() const { return (settings_.c_lflag & ICANON) != 0; }
  bool ends_line(uint8_t byte) const;

  PtyFds fds_;
  const struct termios2& settings_;
  PtyQueues& queues_;
  StepFailure failure_;
  int rest_fd_ = -1;
  std::span<const uint8_t> rest_;
};

// FIONREAD; -1 on failure.
int unread_bytes(int fd);
// The slave may write: its output is neither stopped nor backed up.
bool may_write(int slave);

}  // namespace cryostat::files
