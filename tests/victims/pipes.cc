// Pipes and FIFOs with what is in them: both ends inside, one end closed, full, resized, in packet
// mode, end shared by dup, non-blocking; a FIFO.
#include <sys/stat.h>

#include <vector>

#include "tests/victims/victim.h"

namespace {
std::string drain(int fd) {
  std::string text;
  char buffer[65536];
  fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
  for (ssize_t got; (got = read(fd, buffer, sizeof(buffer))) > 0;)
    text.append(buffer, static_cast<size_t>(got));
  return text;
}
}  // namespace

int main(int argc, char** argv) {
  victim::Victim self(argc, argv);
  int plain[2], empty[2], full[2], closed[2], packets[2];
  self.must(pipe(plain) == 0 && pipe2(empty, O_CLOEXEC) == 0 && pipe2(full, O_NONBLOCK) == 0 &&
                pipe(closed) == 0,
            "pipe");
  self.must(pipe2(packets, O_DIRECT) == 0, "packet pipe");
  self.must(write(plain[1], "some text", 9) == 9, "write");
  const int twin = dup(plain[1]);

  self.must(fcntl(full[1], F_SETPIPE_SZ, 16384) == 16384, "F_SETPIPE_SZ");
  std::vector<uint64_t> block(512);
  size_t filled = 0;
  for (uint64_t i = 0;; ++i) {
    victim::Pattern::fill(block.data(), 4096, i);
    if (write(full[1], block.data(), 4096) != 4096) break;
    filled += 4096;
  }
  self.must(write(closed[1], "left over", 9) == 9, "write");
  close(closed[1]);
  self.must(write(packets[1], "one", 3) == 3 && write(packets[1], "three", 5) == 5, "packets");

  self.must(mkfifo(self.path("fifo").c_str(), 0600) == 0, "mkfifo");
  const int fifo_both = open(self.path("fifo").c_str(), O_RDWR | O_CLOEXEC);
  const int fifo_read = open(self.path("fifo").c_str(), O_RDONLY | O_NONBLOCK);
  const int fifo_write = open(self.path("fifo").c_str(), O_WRONLY);
  self.must(
      fifo_both >= 0 && fifo_read >= 0 && fifo_write >= 0 && write(fifo_write, "fifo text", 9) == 9,
      "fifo");

  self.ready_and_wait();

  self.expect(write(twin, "!", 1) == 1 && drain(plain[0]) == "some text!", "pipe with text");
  self.expect_equal("flags of the non-blocking pipe", O_NONBLOCK | O_WRONLY,
                    fcntl(full[1], F_GETFL) & ~0100000);
  self.expect_equal("CLOEXEC", FD_CLOEXEC, fcntl(empty[0], F_GETFD));
  self.expect_equal("capacity", 16384, fcntl(full[1], F_GETPIPE_SZ));
  self.expect(write(full[1], "x", 1) < 0 && errno == EAGAIN, "the full pipe takes more");
  const std::string content = drain(full[0]);
  self.expect(content.size() == filled, "the full pipe holds %zu bytes, held %zu", content.size(),
              filled);
  for (size_t i = 0; (i + 1) * 4096 <= content.size(); ++i) {
    memcpy(block.data(), content.data() + i * 4096, 4096);
    self.expect(victim::Pattern::matches(block.data(), 4096, i), "block %zu of the full pipe", i);
  }
  char buffer[32];
  self.expect(read(closed[0], buffer, sizeof(buffer)) == 9 && read(closed[0], buffer, 1) == 0,
              "pipe without writer");
  self.expect(read(packets[0], buffer, sizeof(buffer)) == 3 &&
                  read(packets[0], buffer, sizeof(buffer)) == 5,
              "packets");
  self.expect(write(empty[1], "new", 3) == 3 && drain(empty[0]) == "new", "empty pipe");
  self.expect(drain(fifo_read) == "fifo text", "FIFO content");
  self.expect(write(fifo_both, "more", 4) == 4 && read(fifo_read, buffer, sizeof(buffer)) == 4,
              "FIFO ends part");
  return self.finish();
}
