// Peeking at what waits in UNIX sockets, and sending it again.
#include "engine/net/unix_queue.h"

#include <fcntl.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "proto/sockets.pb.h"
#include "tests/support/catch.h"

namespace cryostat::net {
namespace {

struct Pair {
  explicit Pair(int type) {
    int fds[2];
    REQUIRE(socketpair(AF_UNIX, type, 0, fds) == 0);
    sender.reset(fds[0]);
    receiver.reset(fds[1]);
  }
  UniqueFd sender, receiver;
};

void put(const UniqueFd& fd, const std::string& text) {
  REQUIRE(send(fd.get(), text.data(), text.size(), 0) == static_cast<ssize_t>(text.size()));
}

std::string get(const UniqueFd& fd) {
  std::string text(200000, '\0');
  const auto got = recv(fd.get(), text.data(), text.size(), MSG_DONTWAIT);
  if (got < 0) return "error";
  text.resize(static_cast<size_t>(got));
  return text;
}

int option(const UniqueFd& fd, int name) {
  int value = -2;
  socklen_t length = sizeof value;
  getsockopt(fd.get(), SOL_SOCKET, name, &value, &length);
  return value;
}

std::vector<std::string> texts(const std::vector<QueuedMessage>& queue) {
  std::vector<std::string> found;
  for (const auto& message : queue) found.push_back(message.data);
  return found;
}

TEST_CASE("peeking takes nothing and leaves the socket's options as they were") {
  const int type = GENERATE(SOCK_STREAM, SOCK_DGRAM, SOCK_SEQPACKET);
  const Pair pair(type);
  const std::string large(100000, 'x');
  put(pair.sender, "first");
  put(pair.sender, large);
  put(pair.sender, "last");
  for (int round = 0; round < 2; ++round) {
    const auto queue = peek_unix_queue(pair.receiver.get(), type);
    REQUIRE(queue.has_value());
    if (type == SOCK_STREAM) {
      CHECK(texts(*queue) == std::vector{"first" + large + "last"});
    } else {
      CHECK(texts(*queue) == std::vector<std::string>{"first", large, "last"});
    }
    CHECK_FALSE(queue->front().credentials.has_value());
    CHECK(check_all_seen(pair.sender.get(), type, *queue).has_value());
  }
  CHECK(option(pair.receiver, SO_PEEK_OFF) == -1);
  CHECK(option(pair.receiver, SO_PASSCRED) == 0);
  if (type != SOCK_STREAM) CHECK(get(pair.receiver) == "first");
}

TEST_CASE("an empty message is seen, and not lost silently when it can't be seen again") {
  const Pair pair(SOCK_SEQPACKET);
  put(pair.sender, "a");
  put(pair.sender, "");
  put(pair.sender, "b");
  const auto first = peek_unix_queue(pair.receiver.get(), SOCK_SEQPACKET);
  REQUIRE(first.has_value());
  CHECK(texts(*first) == std::vector<std::string>{"a", "", "b"});
  CHECK(check_all_seen(pair.sender.get(), SOCK_SEQPACKET, *first).has_value());
  const auto second = peek_unix_queue(pair.receiver.get(), SOCK_SEQPACKET);
  REQUIRE(second.has_value());
  const auto checked = check_all_seen(pair.sender.get(), SOCK_SEQPACKET, *second);
  if (second->size() == 3) {
    CHECK(checked.has_value());
  } else {
    REQUIRE_FALSE(checked.has_value());
    CHECK(checked.error().kind() == ErrorKind::kRefused);
  }
}

TEST_CASE("the end of a stream is not an empty message") {
  Pair pair(SOCK_SEQPACKET);
  put(pair.sender, "only");
  pair.sender.reset();
  const auto queue = peek_unix_queue(pair.receiver.get(), SOCK_SEQPACKET);
  REQUIRE(queue.has_value());
  CHECK(texts(*queue) == std::vector<std::string>{"only"});
}

TEST_CASE("a pending error stays pending") {
  Pair pair(SOCK_STREAM);
  put(pair.sender, "left");
  put(pair.receiver, "never read");
  pair.sender.reset();
  const auto queue = peek_unix_queue(pair.receiver.get(), SOCK_STREAM);
  REQUIRE(queue.has_value());
  CHECK(texts(*queue) == std::vector<std::string>{"left"});
  CHECK(option(pair.receiver, SO_ERROR) == ECONNRESET);
}

TEST_CASE("urgent data is refused") {
  const Pair pair(SOCK_STREAM);
  if (send(pair.sender.get(), "u", 1, MSG_OOB) != 1) return;  // a kernel without AF_UNIX_OOB
  const auto queue = peek_unix_queue(pair.receiver.get(), SOCK_STREAM);
  REQUIRE_FALSE(queue.has_value());
  CHECK(queue.error().message().find("urgent") != std::string::npos);
}

TEST_CASE("messages are sent again with descriptors and credentials") {
  const Pair pair(SOCK_SEQPACKET);
  int ends[2];
  REQUIRE(pipe(ends) == 0);
  const UniqueFd read_end(ends[0]), write_end(ends[1]);
  UnixMessages queue;
  queue.Add()->set_data(std::string(300000, 'l'));
  auto& second = *queue.Add();
  second.set_data("with a file");
  second.add_description_ids(7);
  second.mutable_credentials()->set_pid(getpid());
  second.mutable_credentials()->set_uid(geteuid());
  second.mutable_credentials()->set_gid(getegid());
  std::vector<uint32_t> asked;
  const auto file_of = [&](uint32_t id) -> Result<int> {
    asked.push_back(id);
    return write_end.get();
  };
  REQUIRE(fill_unix_queue(pair.sender.get(), SOCK_SEQPACKET, queue, file_of).has_value());
  CHECK(asked == std::vector<uint32_t>{7});
  const auto sent = peek_unix_queue(pair.receiver.get(), SOCK_SEQPACKET);
  REQUIRE(sent.has_value());
  REQUIRE(sent->size() == 2);
  CHECK((*sent)[0].data.size() == 300000);
  REQUIRE((*sent)[1].files.size() == 1);
  CHECK(write((*sent)[1].files[0].get(), "x", 1) == 1);
  char byte = 0;
  CHECK(read(read_end.get(), &byte, 1) == 1);
  REQUIRE((*sent)[1].credentials.has_value());
  CHECK((*sent)[1].credentials->pid == getpid());
}

}  // namespace
}  // namespace cryostat::net
