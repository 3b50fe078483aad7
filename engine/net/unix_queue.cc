#include "engine/net/unix_queue.h"

#include <fmt/format.h>
#include <linux/sockios.h>
#include <poll.h>
#include <sys/ioctl.h>

#include <array>
#include <cerrno>
#include <cstring>

#include "engine/net/stand_in.h"
#include "proto/sockets.pb.h"

namespace cryostat::net {

namespace {

constexpr int kScmPidfd = 4;                // SCM_PIDFD, 6.5
constexpr size_t kMaxFilesInMessage = 253;  // SCM_MAX_FD
// SCM_RIGHTS, SCM_CREDENTIALS and room for what other options add.
constexpr size_t kControlBytes = CMSG_SPACE(kMaxFilesInMessage * sizeof(int)) + 1024;
// SO_SNDBUF can't be larger; no queue holds more than that of one sender.
constexpr size_t kMaxQueueBytes = size_t{1} << 31;

// For the time of a peek: an offset that moves on with each message, and credentials, without which
// an empty message and the end of a stream look the same.
class PeekScope {
 public:
  static Result<PeekScope> enter(int socket) {
    PeekScope scope;
    socklen_t length = sizeof(int);
    if (getsockopt(socket, SOL_SOCKET, SO_PEEK_OFF, &scope.offset_, &length) != 0 ||
        getsockopt(socket, SOL_SOCKET, SO_PASSCRED, &scope.credentials_, &length) != 0)
      return fail_errno("get SO_PEEK_OFF and SO_PASSCRED");
    scope.socket_ = socket;
    const int on = 1;
    TRY(scope.move_to(0));
    if (setsockopt(socket, SOL_SOCKET, SO_PASSCRED, &on, sizeof on) != 0)
      return fail_errno("set SO_PASSCRED");
    return scope;
  }
  PeekScope(PeekScope&& other) noexcept
      : socket_(std::exchange(other.socket_, -1)),
        offset_(other.offset_),
        credentials_(other.credentials_) {}
  PeekScope& operator=(PeekScope&&) = delete;
  ~PeekScope() {
    if (socket_ < 0) return;
    (void)setsockopt(socket_, SOL_SOCKET, SO_PEEK_OFF, &offset_, sizeof offset_);
    (void)setsockopt(socket_, SOL_SOCKET, SO_PASSCRED, &credentials_, sizeof credentials_);
  }
  Result<void> move_to(int offset) const {
    if (setsockopt(socket_, SOL_SOCKET, SO_PEEK_OFF, &offset, sizeof offset) != 0)
      return fail_errno("set SO_PEEK_OFF");
    return {};
  }

 private:
  PeekScope() = default;
  int socket_ = -1;
  int offset_ = -1;
  int credentials_ = 0;
};

// The kernel gives "nobody" where it has kept no credentials.
bool is_somebody(const struct ucred& credentials) {
  return credentials.pid != 0 || (credentials.uid != 65534 && credentials.uid != ~0u);
}

void take_files(const cmsghdr& header, std::vector<UniqueFd>& files) {
  const size_t count = (header.cmsg_len - CMSG_LEN(0)) / sizeof(int);
  for (size_t i = 0; i < count; ++i) {
    int fd = -1;
    std::memcpy(&fd, CMSG_DATA(&header) + i * sizeof fd, sizeof fd);
    files.emplace_back(fd);
  }
}

// What one call to recvmsg(2) told.
struct Peeked {
  QueuedMessage message;
  bool anything = false;  // false: the queue has no more
  bool cut = false;       // the message is longer than the room given
};

void read_control(msghdr& header, Peeked& peeked) {
  for (auto* part = CMSG_FIRSTHDR(&header); part != nullptr; part = CMSG_NXTHDR(&header, part)) {
    if (part->cmsg_level != SOL_SOCKET) continue;
    if (part->cmsg_type == SCM_RIGHTS) take_files(*part, peeked.message.files);
    if (part->cmsg_type == kScmPidfd) {
      std::vector<UniqueFd> closed_again;
      take_files(*part, closed_again);
    }
    if (part->cmsg_type != SCM_CREDENTIALS) continue;
    struct ucred credentials;
    std::memcpy(&credentials, CMSG_DATA(part), sizeof credentials);
    // Also given for an empty message, not at the end of a stream.
    peeked.anything = true;
    if (is_somebody(credentials)) peeked.message.credentials = credentials;
  }
}

Result<Peeked> peek_one(int socket, size_t room) {
  Peeked peeked;
  auto& data = peeked.message.data;
  data.resize(room);
  alignas(cmsghdr) std::array<char, kControlBytes> control;
  sockaddr_un sender = {};
  iovec part = {data.data(), data.size()};
  msghdr header = {};
  header.msg_name = &sender;
  header.msg_namelen = sizeof sender;
  header.msg_iov = &part;
  header.msg_iovlen = 1;
  header.msg_control = control.data();
  header.msg_controllen = control.size();
  const auto got = recvmsg(socket, &header, MSG_PEEK | MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
  if (got < 0) {
    data.clear();
    if (errno == EAGAIN) return peeked;
    return fail_errno("peek at a UNIX socket");
  }
  peeked.anything = got > 0;
  peeked.cut = (header.msg_flags & MSG_TRUNC) != 0;
  read_control(header, peeked);
  peeked.message.sender = unix_name_of(sender, header.msg_namelen);
  if ((header.msg_flags & MSG_CTRUNC) != 0)
    return fail(ErrorKind::kFailed,
                "the descriptors in flight on a UNIX socket can't be opened: too many open files");
  data.resize(static_cast<size_t>(got));
  return peeked;
}

Result<std::vector<QueuedMessage>> peek_stream(int socket) {
  std::vector<QueuedMessage> queue;
  auto left = TRY(bytes_waiting(socket));
  if (left == 0) return queue;
  const auto scope = TRY(PeekScope::enter(socket));
  // Never past the last byte: there the kernel would report, and forget, a pending error.
  while (left > 0) {
    auto peeked = TRY(peek_one(socket, left));
    if (peeked.message.data.empty())
      return fail(ErrorKind::kFailed, fmt::format("{} bytes of a UNIX socket can't be read", left));
    left -= peeked.message.data.size();
    queue.push_back(std::move(peeked.message));
  }
  return queue;
}

Result<std::vector<QueuedMessage>> peek_messages(int socket) {
  std::vector<QueuedMessage> queue;
  const auto scope = TRY(PeekScope::enter(socket));
  // The first one can be peeked at for ever when no offset is asked for.
  TRY(scope.move_to(-1));
  auto first = TRY(peek_one(socket, 1));
  const bool begins_empty = first.anything && !first.cut && first.message.data.empty();
  if (begins_empty) queue.push_back(std::move(first.message));
  TRY(scope.move_to(0));
  size_t room = 64 << 10, offset = 0;
  for (;;) {
    auto peeked = TRY(peek_one(socket, room));
    if (!peeked.anything) return queue;
    if (peeked.cut) {
      if (room > kMaxQueueBytes) return fail(ErrorKind::kFailed, "a datagram without end");
      room *= 4;
      TRY(scope.move_to(static_cast<int>(offset)));
      continue;
    }
    offset += peeked.message.data.size();
    if (offset > kMaxQueueBytes) return fail(ErrorKind::kFailed, "a UNIX socket holds too much");
    queue.push_back(std::move(peeked.message));
  }
}

int events_of(int socket) {
  pollfd poll_fd = {socket, POLLIN | POLLPRI, 0};
  return poll(&poll_fd, 1, 0) == 1 ? poll_fd.revents : 0;
}

// The kernel takes only the pids of processes there are.
Result<void> send_as_sender(int sender, const msghdr& header, pid_t pid, size_t& sent) {
  const auto send = [&] {
    const auto got = sendmsg(sender, &header, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (got < 0) return errno;
    sent = static_cast<size_t>(got);
    return 0;
  };
  int error = send();
  if (error == ESRCH && pid > 0) {
    // All of it: what the other process has counted is lost with it.
    sent = header.msg_iov->iov_len;
    if (TRY(act_as_gone_process(pid, send))) return {};
  }
  if (error != 0)
    return fail_errno(error,
                      fmt::format("send {} bytes to a UNIX socket", header.msg_iov->iov_len));
  return {};
}

Result<void> send_one(int sender, const UnixRoute* to, std::string_view data,
                      const pb::UnixMessage& message, const std::vector<int>& files, size_t& sent) {
  alignas(cmsghdr) std::array<char, kControlBytes> control = {};
  iovec part = {const_cast<char*>(data.data()), data.size()};
  msghdr header = {};
  header.msg_iov = &part;
  header.msg_iovlen = 1;
  if (to != nullptr) {
    header.msg_name = const_cast<sockaddr*>(to->get());
    header.msg_namelen = to->length();
  }
  size_t used = 0;
  const auto add = [&](int type, const void* content, size_t bytes) {
    auto* out = reinterpret_cast<cmsghdr*>(control.data() + used);
    out->cmsg_level = SOL_SOCKET;
    out->cmsg_type = type;
    out->cmsg_len = CMSG_LEN(bytes);
    std::memcpy(CMSG_DATA(out), content, bytes);
    used += CMSG_SPACE(bytes);
  };
  if (!files.empty()) add(SCM_RIGHTS, files.data(), files.size() * sizeof(int));
  if (message.has_credentials()) {
    const struct ucred credentials = {message.credentials().pid(), message.credentials().uid(),
                                      message.credentials().gid()};
    add(SCM_CREDENTIALS, &credentials, sizeof credentials);
  }
  if (used != 0) {
    header.msg_control = control.data();
    header.msg_controllen = used;
  }
  return send_as_sender(sender, header, message.credentials().pid(), sent);
}

}  // namespace

Result<size_t> bytes_waiting(int socket) {
  int bytes = 0;
  if (ioctl(socket, SIOCINQ, &bytes) != 0) return fail_errno("SIOCINQ on a UNIX socket");
  if (bytes < 0 || static_cast<size_t>(bytes) > kMaxQueueBytes)
    return fail(ErrorKind::kFailed, "a UNIX socket holds an impossible number of bytes");
  return static_cast<size_t>(bytes);
}

Result<std::vector<QueuedMessage>> peek_unix_queue(int socket, int type) {
  const int events = events_of(socket);
  if ((events & POLLPRI) != 0)
    return fail(ErrorKind::kRefused, "UNIX socket with urgent data can't be checkpointed");
  if ((events & POLLERR) != 0 && type != SOCK_STREAM) {
    // It would be reported, and forgotten, instead of the first message.
    if (type == SOCK_SEQPACKET && TRY(bytes_waiting(socket)) == 0)
      return std::vector<QueuedMessage>();
    return fail(ErrorKind::kRefused,
                "UNIX socket with an error it has not reported yet can't be checkpointed");
  }
  if ((events & POLLIN) == 0) return std::vector<QueuedMessage>();
  return type == SOCK_STREAM ? peek_stream(socket) : peek_messages(socket);
}

Result<size_t> memory_in_flight(int sender) {
  int bytes = 0;
  if (ioctl(sender, SIOCOUTQ, &bytes) != 0) return fail_errno("SIOCOUTQ on a UNIX socket");
  return static_cast<size_t>(std::max(bytes, 0));
}

// The same messages sent again take as much memory.
Result<size_t> memory_of_copy(int type, const std::vector<const QueuedMessage*>& queue) {
  int pair[2];
  if (socketpair(AF_UNIX, type | SOCK_CLOEXEC, 0, pair) != 0)
    return fail_errno("create a socket pair");
  const UniqueFd copy_sender(pair[0]), copy_receiver(pair[1]);
  UnixMessages copy;
  for (const auto* message : queue) copy.Add()->set_data(message->data);
  TRY(fill_unix_queue(copy_sender.get(), type, copy, {}));
  return memory_in_flight(copy_sender.get());
}

Result<void> check_all_seen(int sender, int type, const std::vector<QueuedMessage>& queue) {
  const size_t in_flight = TRY(memory_in_flight(sender));
  if (type == SOCK_STREAM || in_flight == 0) return {};
  std::vector<const QueuedMessage*> seen;
  seen.reserve(queue.size());
  for (const auto& message : queue) seen.push_back(&message);
  if (in_flight <= TRY(memory_of_copy(type, seen))) return {};
  return fail(ErrorKind::kRefused,
              "UNIX socket with an empty message in its queue that can't be peeked at a second "
              "time can't be checkpointed");
}

Result<void> send_unix_message(int sender, const UnixRoute* to, const pb::UnixMessage& message,
                               const FileOf& file_of) {
  const auto& ids = message.description_ids();
  if (static_cast<size_t>(ids.size()) > kMaxFilesInMessage)
    return fail(ErrorKind::kImages, "a message of a UNIX socket with bad sizes");
  std::vector<int> files;
  for (const auto id : ids) files.push_back(TRY(file_of(id)));
  std::string_view data = message.data();
  do {
    size_t sent = 0;
    TRY(send_one(sender, to, data, message, files, sent));
    data.remove_prefix(std::min(sent, data.size()));
    files.clear();  // descriptors go with the first byte
  } while (!data.empty());
  return {};
}

void enlarge_send_buffer(int sender, const UnixMessages& queue) {
  size_t bytes = 0;
  for (const auto& message : queue) bytes += message.data().size() + 8192;
  const int wanted = static_cast<int>(std::min<size_t>(bytes * 2, 1 << 30));
  if (setsockopt(sender, SOL_SOCKET, SO_SNDBUFFORCE, &wanted, sizeof wanted) != 0)
    (void)setsockopt(sender, SOL_SOCKET, SO_SNDBUF, &wanted, sizeof wanted);
}

Result<void> fill_unix_queue(int sender, int type, const UnixMessages& queue,
                             const FileOf& file_of) {
  if (queue.empty()) return {};
  enlarge_send_buffer(sender, queue);
  for (const auto& message : queue) {
    if (type == SOCK_STREAM && message.data().empty())
      return fail(ErrorKind::kImages, "a message of a UNIX socket with bad sizes");
    TRY(send_unix_message(sender, nullptr, message, file_of));
  }
  return {};
}

}  // namespace cryostat::net
