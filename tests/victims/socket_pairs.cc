// Socket pairs of every type: queued in both directions, with message boundaries, descriptors and
// credentials in flight, a cycle, shut down, with options, with the other end closed.
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <vector>

#include "tests/victims/victim.h"

namespace {

void pair_of(victim::Victim& self, int type, int (&pair)[2]) {
  self.must(socketpair(AF_UNIX, type, 0, pair) == 0, "socketpair");
}

bool put(int fd, const std::string& text) {
  return send(fd, text.data(), text.size(), 0) == static_cast<ssize_t>(text.size());
}

std::string get(int fd, size_t room = 100) {
  std::string text(room, '\0');
  const auto got = recv(fd, text.data(), room, MSG_DONTWAIT);
  text.resize(got < 0 ? 0 : static_cast<size_t>(got));
  return got < 0 ? "error " + std::to_string(errno) : text;
}

bool put_file(int fd, int file, const char* text, const ucred* credentials = nullptr) {
  char control[CMSG_SPACE(sizeof(int)) + CMSG_SPACE(sizeof(ucred))] = {};
  iovec part = {const_cast<char*>(text), strlen(text)};
  msghdr header = {};
  header.msg_iov = &part;
  header.msg_iovlen = 1;
  header.msg_control = control;
  header.msg_controllen = sizeof(control);
  cmsghdr* out = CMSG_FIRSTHDR(&header);
  size_t used = 0;
  if (file >= 0) {
    *out = {CMSG_LEN(sizeof(int)), SOL_SOCKET, SCM_RIGHTS};
    memcpy(CMSG_DATA(out), &file, sizeof(file));
    used += CMSG_SPACE(sizeof(int));
    out = CMSG_NXTHDR(&header, out);
  }
  if (credentials != nullptr) {
    *out = {CMSG_LEN(sizeof(ucred)), SOL_SOCKET, SCM_CREDENTIALS};
    memcpy(CMSG_DATA(out), credentials, sizeof(*credentials));
    used += CMSG_SPACE(sizeof(ucred));
  }
  header.msg_controllen = used;
  return sendmsg(fd, &header, 0) == static_cast<ssize_t>(strlen(text));
}

// Text, the descriptor and the sender of one message; -1, pid 0 where it has none.
struct Received {
  std::string text;
  int file = -1;
  ucred sender = {};
};

Received take(int fd) {
  Received received;
  char control[256], text[64];
  iovec part = {text, sizeof(text)};
  msghdr header = {};
  header.msg_iov = &part;
  header.msg_iovlen = 1;
  header.msg_control = control;
  header.msg_controllen = sizeof(control);
  const auto got = recvmsg(fd, &header, MSG_DONTWAIT);
  if (got >= 0) received.text.assign(text, static_cast<size_t>(got));
  for (auto* c = CMSG_FIRSTHDR(&header); c != nullptr; c = CMSG_NXTHDR(&header, c)) {
    if (c->cmsg_type == SCM_RIGHTS) memcpy(&received.file, CMSG_DATA(c), sizeof(int));
    if (c->cmsg_type == SCM_CREDENTIALS) memcpy(&received.sender, CMSG_DATA(c), sizeof(ucred));
  }
  return received;
}

int option(int fd, int name) {
  int value = -1;
  socklen_t length = sizeof(value);
  getsockopt(fd, SOL_SOCKET, name, &value, &length);
  return value;
}

void set_option(victim::Victim& self, int fd, int name, int value) {
  self.must(setsockopt(fd, SOL_SOCKET, name, &value, sizeof(value)) == 0, "setsockopt");
}

// A message of a process that is gone by now; its pid.
pid_t put_by_child(victim::Victim& self, int fd) {
  const pid_t child = fork();
  if (child == 0) {
    const ucred me = {getpid(), getuid(), getgid()};
    _exit(put_file(fd, -1, "child", &me) ? 0 : 1);
  }
  int status = 0;
  self.must(waitpid(child, &status, 0) == child && status == 0, "message of a child");
  return child;
}

}  // namespace

int main(int argc, char** argv) {
  victim::Victim self(argc, argv);
  int stream[2], datagrams[2], packets[2], rights[2], senders[2], closed[2], reset[2], half[2],
      cycle[2], bound[2];
  pair_of(self, SOCK_STREAM, stream);
  pair_of(self, SOCK_DGRAM | SOCK_NONBLOCK, datagrams);
  pair_of(self, SOCK_SEQPACKET | SOCK_CLOEXEC, packets);
  pair_of(self, SOCK_STREAM, rights);
  pair_of(self, SOCK_DGRAM, senders);
  pair_of(self, SOCK_STREAM, closed);
  pair_of(self, SOCK_STREAM, reset);
  pair_of(self, SOCK_STREAM, half);
  pair_of(self, SOCK_STREAM, cycle);
  pair_of(self, SOCK_SEQPACKET, bound);

  set_option(self, stream[0], SO_SNDBUF, 150000);
  timeval timeout = {3, 500000};
  self.must(setsockopt(stream[1], SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof(timeout)) == 0,
            "SO_RCVTIMEO");
  std::vector<uint64_t> block(8192);
  size_t filled = 0;
  for (uint64_t i = 0;; ++i) {
    victim::Pattern::fill(block.data(), 65536, i);
    if (send(stream[0], block.data(), 65536, MSG_DONTWAIT) != 65536) break;
    filled += 65536;
  }
  // What a partial send has added.
  int queued = 0;
  self.must(ioctl(stream[1], FIONREAD, &queued) == 0 && filled > 0, "queued");
  self.must(put(stream[1], "the other way"), "send");

  const std::string large(100000, 'L');
  self.must(put(datagrams[0], "one") && put(datagrams[0], large) && put(datagrams[0], "three") &&
                put(datagrams[1], "back"),
            "datagrams");
  self.must(put(packets[0], "first") && put(packets[0], "second"), "packets");

  int pipe_ends[2], lone[2], nested[2];
  self.must(pipe(pipe_ends) == 0 && write(pipe_ends[1], "in a pipe", 9) == 9, "pipe");
  pair_of(self, SOCK_STREAM, lone);
  pair_of(self, SOCK_STREAM, nested);
  // The read end is only in flight; of the pair `lone` one end is; `nested` carries one more.
  self.must(put(lone[1], "alone") && put(rights[0], "before ") &&
                put_file(rights[0], pipe_ends[0], "pipe") && put_file(rights[0], lone[0], "end") &&
                put_file(nested[0], stream[0], "inner") && put_file(rights[0], nested[1], "nest") &&
                put_file(rights[0], rights[0], "known"),
            "descriptors in flight");
  close(pipe_ends[0]);
  close(lone[0]);
  close(nested[1]);

  set_option(self, senders[1], SO_PASSCRED, 1);
  const ucred me = {getpid(), getuid(), getgid()};
  self.must(put_file(senders[0], -1, "mine", &me), "credentials");
  const pid_t child = put_by_child(self, senders[0]);

  self.must(put(closed[1], "left over"), "send");
  close(closed[1]);
  self.must(put(reset[0], "never read"), "send");
  close(reset[1]);
  self.must(put(half[0], "last words") && shutdown(half[0], SHUT_WR) == 0, "shutdown");
  self.must(put_file(cycle[0], cycle[1], "cycle"), "cycle");
  const ucred creator = me;
  struct stat socket_stat;
  self.must(fstat(stream[0], &socket_stat) == 0, "fstat");
  const int never = socket(AF_UNIX, SOCK_STREAM, 0);

  self.ready_and_wait();

  self.expect_equal("bytes of the stream", queued, [&] {
    int now = 0;
    ioctl(stream[1], FIONREAD, &now);
    return now;
  }());
  self.expect_equal("SO_SNDBUF", 300000, option(stream[0], SO_SNDBUF));
  timeval now = {};
  socklen_t length = sizeof(now);
  getsockopt(stream[1], SOL_SOCKET, SO_RCVTIMEO, &now, &length);
  self.expect(now.tv_sec == 3 && now.tv_usec == 500000, "SO_RCVTIMEO");
  std::string content(static_cast<size_t>(queued), '\0');
  self.expect(recv(stream[1], content.data(), content.size(), MSG_WAITALL) == queued, "stream");
  for (size_t i = 0; (i + 1) * 65536 <= content.size(); ++i) {
    memcpy(block.data(), content.data() + i * 65536, 65536);
    self.expect(victim::Pattern::matches(block.data(), 65536, i), "block %zu of the stream", i);
  }
  self.expect(get(stream[0]) == "the other way", "the stream's other direction");
  self.expect(put(stream[0], "more") && get(stream[1]) == "more", "the stream goes on");
  ucred peer = {};
  length = sizeof(peer);
  getsockopt(stream[0], SOL_SOCKET, SO_PEERCRED, &peer, &length);
  self.expect_equal("SO_PEERCRED pid", creator.pid, peer.pid);
  self.expect_equal("SO_PEERCRED uid", creator.uid, peer.uid);

  self.expect(get(datagrams[1]) == "one" && get(datagrams[1], 200000) == large &&
                  get(datagrams[1]) == "three",
              "datagrams");
  self.expect(get(datagrams[0]) == "back", "datagram back");
  self.expect_equal("datagram socket flags", O_NONBLOCK, fcntl(datagrams[0], F_GETFL) & O_NONBLOCK);
  self.expect(get(packets[1]) == "first" && get(packets[1]) == "second", "packets");
  self.expect_equal("CLOEXEC", FD_CLOEXEC, fcntl(packets[0], F_GETFD));

  Received received = take(rights[1]);
  if (received.text == "before ") received = take(rights[1]);
  self.expect(received.text.find("pipe") != std::string::npos, "text beside a pipe: %s",
              received.text.c_str());
  char buffer[32];
  self.expect(read(received.file, buffer, sizeof(buffer)) == 9, "the pipe in flight");
  received = take(rights[1]);
  self.expect(received.text == "end" && get(received.file) == "alone", "the socket in flight");
  received = take(rights[1]);
  const Received inner = take(received.file);
  self.expect(received.text == "nest" && inner.text == "inner", "the nested socket");
  self.expect(put(inner.file, "deep") && get(stream[1]) == "deep", "the nested descriptor");
  received = take(rights[1]);
  self.expect(received.text == "known" && put(received.file, "!") && get(rights[1]) == "!",
              "a descriptor in flight that is also open");
  self.expect_equal("identity", 1, [&] {
    fcntl(received.file, F_SETFL, O_NONBLOCK);
    return (fcntl(rights[0], F_GETFL) & O_NONBLOCK) != 0 ? 1 : 0;
  }());

  received = take(senders[1]);
  self.expect(received.text == "mine" && received.sender.pid == me.pid, "own credentials: %d",
              received.sender.pid);
  received = take(senders[1]);
  self.expect(received.text == "child" && received.sender.pid == child,
              "credentials of a process that is gone: %d, was %d", received.sender.pid, child);

  self.expect(get(closed[0]) == "left over" && get(closed[0]).empty(), "closed end");
  self.expect(send(closed[0], "x", 1, MSG_NOSIGNAL) < 0 && errno == EPIPE, "write to closed");
  self.expect_equal("SO_ERROR of the cut connection", ECONNRESET, option(reset[0], SO_ERROR));
  self.expect(get(half[1]) == "last words" && get(half[1]).empty(), "half-closed");
  self.expect(put(half[1], "answer") && get(half[0]) == "answer", "the open half");
  self.expect(send(half[0], "x", 1, MSG_NOSIGNAL) < 0 && errno == EPIPE, "write to shut down");
  received = take(cycle[1]);
  self.expect(received.text == "cycle" && put(cycle[0], "c") && get(received.file) == "c", "cycle");
  self.expect(put(bound[0], "p") && get(bound[1]) == "p", "packet");
  self.expect(
      getpeername(never, reinterpret_cast<sockaddr*>(buffer), &length) < 0 && errno == ENOTCONN,
      "a socket without a peer");
  return self.finish();
}
