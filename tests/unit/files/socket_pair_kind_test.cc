// UNIX socket pairs: opened in one process, restored in another.
#include <sys/socket.h>

#include "tests/unit/files/roundtrip.h"

namespace cryostat::files {
namespace {

TEST_CASE("an end of a socket pair whose other end is closed comes back") {
  CHECK(roundtrip(
            [] {
              int fds[2];
              (void)!socketpair(AF_UNIX, SOCK_STREAM, 0, fds);  // 3, 4
              close(4);
            },
            []() -> std::string {
              char byte;
              EXPECT(read(3, &byte, 1) == 0);
              EXPECT(send(3, "x", 1, MSG_NOSIGNAL) == -1 && errno == EPIPE);
              EXPECT(fcntl(3, F_GETFL) == O_RDWR);
              return "";
            }) == kNothingWrong);
}

TEST_CASE("socket pairs come back with what waits in them") {
  const int type = GENERATE(SOCK_STREAM, SOCK_DGRAM, SOCK_SEQPACKET);
  CHECK(roundtrip(
            [&] {
              int fds[2];
              (void)!socketpair(AF_UNIX, type | SOCK_NONBLOCK, 0, fds);  // 3, 4
              (void)!write(3, "there", 5);
              (void)!write(3, "too", 3);
              (void)!write(4, "back", 4);
              dup2(4, 70);
            },
            [&]() -> std::string {
              char text[16];
              if (type == SOCK_STREAM) {
                EXPECT(read(70, text, sizeof text) == 8 && memcmp(text, "theretoo", 8) == 0);
              } else {
                EXPECT(read(70, text, sizeof text) == 5 && memcmp(text, "there", 5) == 0);
                EXPECT(read(4, text, sizeof text) == 3 && memcmp(text, "too", 3) == 0);
              }
              EXPECT(read(4, text, sizeof text) == -1 && errno == EAGAIN);
              EXPECT(read(3, text, sizeof text) == 4 && memcmp(text, "back", 4) == 0);
              EXPECT(write(4, "x", 1) == 1 && read(3, text, 1) == 1);
              return "";
            }) == kNothingWrong);
}

TEST_CASE("a socket without a peer, and pairs whose ends were shut down, come back") {
  CHECK(roundtrip(
            [] {
              socket(AF_UNIX, SOCK_DGRAM, 0);  // 3
              int fds[2];
              (void)!socketpair(AF_UNIX, SOCK_STREAM, 0, fds);  // 4, 5
              shutdown(4, SHUT_WR);
              (void)!socketpair(AF_UNIX, SOCK_SEQPACKET, 0, fds);  // 6, 7
              (void)!write(7, "left", 4);
              close(7);
            },
            []() -> std::string {
              char text[16];
              EXPECT(send(3, "x", 1, 0) == -1 && errno == ENOTCONN);
              EXPECT(read(5, text, 1) == 0 && write(5, "y", 1) == 1 && read(4, text, 1) == 1);
              EXPECT(send(4, "x", 1, MSG_NOSIGNAL) == -1 && errno == EPIPE);
              EXPECT(read(6, text, sizeof text) == 4 && read(6, text, 1) == 0);
              return "";
            }) == kNothingWrong);
}

}  // namespace
}  // namespace cryostat::files
