#include "engine/files/unix_socket_state.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <algorithm>
#include <utility>

#include "engine/files/collect_context.h"
#include "engine/files/in_flight.h"
#include "engine/files/restore_context.h"
#include "engine/net/sock_diag.h"
#include "engine/net/socket_holder.h"
#include "engine/net/unix_queue.h"

namespace cryostat::files {

namespace {

Result<void> add_message(const net::QueuedMessage& message, const std::vector<uint32_t>& files,
                         pb::UnixSocketPair& image) {
  auto& out = *image.add_queue();
  out.set_data(message.data);
  if (image.type() == SOCK_DGRAM) out.set_sender(message.sender);
  for (const auto id : files) out.add_description_ids(id);
  if (!message.credentials) return {};
  if (message.credentials->pid == 0)
    return refuse_unix(image.type(), "with a message from a process of another pid namespace");
  out.mutable_credentials()->set_pid(message.credentials->pid);
  out.mutable_credentials()->set_uid(message.credentials->uid);
  out.mutable_credentials()->set_gid(message.credentials->gid);
  return {};
}

}  // namespace

Failure refuse_unix(uint32_t type, std::string_view why) {
  const char* name = type == SOCK_STREAM ? "stream" : type == SOCK_DGRAM ? "datagram" : "seqpacket";
  return fail(ErrorKind::kRefused,
              fmt::format("UNIX {} socket {} can't be checkpointed", name, why));
}

Failure refuse_outside(uint32_t type, const net::UnixSocket& socket, const net::UnixSocket& other,
                       std::string_view advice) {
  return refuse_unix(
      type, fmt::format("unix[{}] {} whose other end unix[{}] {}, {}, is outside the target{}",
                        socket.inode, net::show_unix_name(socket.name), other.inode,
                        net::show_unix_name(other.name), net::describe_socket_holder(other.inode),
                        advice));
}

// connect(2) of a datagram socket notes nobody.
bool is_made_as_pair(const pb::UnixSocketPair& image) {
  return image.peer() == pb::UnixSocketPair::OPEN && image.has_creator();
}

int socket_events(int fd) {
  struct pollfd poll_fd = {fd, POLLRDHUP, 0};
  return poll(&poll_fd, 1, 0) == 1 ? poll_fd.revents : 0;
}

bool has_peer(int fd) {
  struct sockaddr_un address = {};
  socklen_t length = sizeof address;
  return getpeername(fd, reinterpret_cast<struct sockaddr*>(&address), &length) == 0;
}

Result<const net::UnixSocket*> find_unix_socket(CollectContext& context,
                                                const OpenDescription& description, uint32_t type) {
  TRY(context.read_unix_sockets());
  const auto* socket = context.unix_sockets.find(description.st.st_ino);
  if (socket == nullptr) return refuse_unix(type, "of another network namespace");
  return socket;
}

Result<void> collect_unix_queue(const CollectContext& context, const OpenDescription& description,
                                pb::UnixSocketPair& image) {
  if (const auto* refusal = context.in_flight().refusal(description.id))
    return tl::unexpected(*refusal);
  const auto* queue = context.in_flight().queue(description.id);
  if (queue == nullptr) return {};
  for (size_t i = 0; i < queue->messages.size(); ++i)
    TRY(add_message(queue->messages[i], queue->files[i], image));
  return {};
}

bool carries_files(const pb::UnixSocketPair& image) {
  return std::any_of(image.queue().begin(), image.queue().end(),
                     [](const auto& message) { return !message.description_ids().empty(); });
}

Result<int> file_in_flight(const RestoreContext& context, uint32_t id) {
  const int fd = context.number_of(id, -1);
  if (fd < 0) return fail(ErrorKind::kImages, "a message of a UNIX socket with unknown files");
  return fd;
}

Result<void> shut_down(int fd, uint32_t mask) {
  if ((mask & 3) == 0) return {};
  const int how = mask == 1 ? SHUT_RD : mask == 2 ? SHUT_WR : SHUT_RDWR;
  if (shutdown(fd, how) != 0) return fail_errno("shut a socket down");
  return {};
}

Result<SilentSocket> SilentSocket::make(int fd) {
  SilentSocket silent;
  const int flags = fcntl(fd, F_GETFL);
  if (flags < 0) return fail_errno("F_GETFL");
  if ((flags & O_ASYNC) == 0) return silent;
  if (fcntl(fd, F_SETFL, flags & ~O_ASYNC) != 0) return fail_errno("F_SETFL");
  silent.fd_ = fd;
  silent.flags_ = flags;
  return silent;
}

SilentSocket::SilentSocket(SilentSocket&& other) noexcept
    : fd_(std::exchange(other.fd_, -1)), flags_(other.flags_) {}

SilentSocket::~SilentSocket() {
  if (fd_ >= 0) (void)fcntl(fd_, F_SETFL, flags_);
}

}  // namespace cryostat::files
