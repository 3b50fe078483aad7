// Pipes and FIFOs: opened in one process, restored in another.
#include <sys/stat.h>

#include "tests/unit/files/roundtrip.h"

namespace cryostat::files {
namespace {

TEST_CASE("pipes come back with content, capacity, flags and sharing") {
  CHECK(roundtrip(
            [] {
              int fds[2];
              (void)!pipe2(fds, O_NONBLOCK);  // 3, 4
              fcntl(4, F_SETPIPE_SZ, 1 << 18);
              const std::string block(150000, 'p');
              (void)!write(4, block.data(), block.size());
              dup2(4, 40);
              (void)!pipe2(fds, O_DIRECT);  // 5, 6
              (void)!write(6, "one", 3);
              (void)!write(6, "second", 6);
              (void)!pipe(fds);  // 7, 8: the writer goes
              (void)!write(8, "rest", 4);
              close(8);
              (void)!pipe(fds);  // 8, 9: the reader goes
              close(8);
            },
            []() -> std::string {
              std::string text(200000, '\0');
              EXPECT(fcntl(3, F_GETPIPE_SZ) == 1 << 18);
              EXPECT(fcntl(4, F_GETFL) == O_WRONLY + O_NONBLOCK);
              EXPECT(fcntl(7, F_GETFL) == O_RDONLY);
              EXPECT((fcntl(3, F_GETFL) & O_NONBLOCK) != 0);
              size_t total = 0;
              for (ssize_t got; (got = read(3, text.data(), text.size())) > 0;)
                total += static_cast<size_t>(got);
              EXPECT(total == 150000 && text[0] == 'p');
              EXPECT(write(40, "k", 1) == 1 && read(3, text.data(), 9) == 1);
              EXPECT((fcntl(6, F_GETFL) & O_DIRECT) != 0);
              EXPECT((fcntl(5, F_GETFL) & O_NONBLOCK) == 0);
              EXPECT(read(5, text.data(), 100) == 3);
              EXPECT(read(5, text.data(), 100) == 6);
              EXPECT(read(7, text.data(), 100) == 4);
              EXPECT(read(7, text.data(), 100) == 0);
              signal(SIGPIPE, SIG_IGN);
              EXPECT(write(9, "x", 1) == -1 && errno == EPIPE);
              return "";
            }) == kNothingWrong);
}

TEST_CASE("FIFOs come back with content") {
  const TempFolder folder;
  const auto path = folder / "fifo";
  REQUIRE(mkfifo(path.c_str(), 0600) == 0);
  std::string text;
  {
    const Subject subject([&] {
      open(path.c_str(), O_RDONLY | O_NONBLOCK);  // 3
      open(path.c_str(), O_WRONLY);               // 4
      (void)!write(4, "fifo data", 9);
      fcntl(3, F_SETFL, 0);
    });
    auto collected = collect(subject);
    REQUIRE(collected.refusals.lines().empty());
    // Not while the first process still has it in use.
    text = restored(collected.image, [] { return std::string(); });
    CHECK(text.find("is in use") != std::string::npos);
    kill(subject.pid().value, SIGKILL);
    siginfo_t info;
    waitid(P_PID, static_cast<id_t>(subject.pid().value), &info, WEXITED | WNOWAIT);
    text = restored(collected.image, [&]() -> std::string {
      char buffer[20];
      EXPECT(link_of(3) == path);
      EXPECT((fcntl(3, F_GETFL) & O_NONBLOCK) == 0);
      EXPECT(read(3, buffer, sizeof buffer) == 9);
      EXPECT(close(4) == 0);
      EXPECT(read(3, buffer, sizeof buffer) == 0);  // no end was left open
      return "";
    });
  }
  CHECK(text == kNothingWrong);
}

}  // namespace
}  // namespace cryostat::files
