#include "engine/files/kinds/unix_socket_pair.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <algorithm>

#include "engine/files/collect_context.h"
#include "engine/files/description_groups.h"
#include "engine/files/in_flight.h"
#include "engine/files/restore_context.h"
#include "engine/net/sock_diag.h"
#include "engine/net/unix_pair.h"
#include "engine/net/unix_queue.h"

namespace cryostat::files {

namespace {

using Peer = pb::UnixSocketPair;

int type_of(int fd) {
  int type = -1;
  socklen_t length = sizeof type;
  return getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &length) == 0 ? type : -1;
}

bool has_peer(int fd) {
  struct sockaddr_un address = {};
  socklen_t length = sizeof address;
  return getpeername(fd, reinterpret_cast<struct sockaddr*>(&address), &length) == 0;
}

int events_of(int fd) {
  struct pollfd poll_fd = {fd, POLLRDHUP, 0};
  return poll(&poll_fd, 1, 0) == 1 ? poll_fd.revents : 0;
}

Failure refuse(uint32_t type, std::string_view why) {
  const char* name = type == SOCK_STREAM ? "stream" : type == SOCK_DGRAM ? "datagram" : "seqpacket";
  return fail(ErrorKind::kRefused,
              fmt::format("UNIX {} socket {} can't be checkpointed", name, why));
}

// Both directions are shut down and nothing is left to read.
bool looks_closed(int fd) {
  const int events = events_of(fd);
  const auto waiting = net::bytes_waiting(fd);
  return (events & POLLHUP) != 0 && (events & POLLRDHUP) != 0 && waiting && *waiting == 0;
}

Result<void> collect_peer(CollectContext& context, const OpenDescription& description,
                          pb::UnixSocketPair& image) {
  const int fd = description.copy.get();
  image.set_pair_id(description.id);
  if (auto read = context.read_unix_sockets(); !read) {
    // Without a list of sockets one thing can be told all the same.
    if (image.type() == SOCK_DGRAM || !looks_closed(fd)) return read;
    image.set_peer(Peer::CLOSED);
    return {};
  }
  const auto* socket = context.unix_sockets.find(description.st.st_ino);
  if (socket == nullptr) return refuse(image.type(), "of another network namespace");
  image.set_shutdown(socket->shutdown);
  if (!has_peer(fd)) return {};
  const auto* other_end = context.unix_sockets.find(socket->peer_inode);
  // A datagram socket stays connected to one that was closed. Newer kernels (6.17) still tell the
  // number that one had, but have it on no list.
  if (other_end == nullptr) {
    image.set_peer(Peer::CLOSED);
    return {};
  }
  const auto* peer = context.with_inode(description.st.st_dev, socket->peer_inode);
  // In flight in its own queue only, it is garbage that the kernel has not collected yet.
  if (peer == nullptr && context.collect_unix_garbage(socket->peer_inode))
    return collect_peer(context, description, image);
  if (peer == nullptr)
    return refuse(image.type(), fmt::format("unix[{}] whose other end is outside the target",
                                            description.st.st_ino));
  if (other_end->named || other_end->peer_inode != socket->inode)
    return refuse(image.type(), "whose other end has a name or another peer");
  image.set_peer(Peer::OPEN);
  image.set_peer_description_id(peer->id);
  image.set_pair_id(std::min(description.id, peer->id));
  return {};
}

Result<void> add_message(const net::QueuedMessage& message, const std::vector<uint32_t>& files,
                         pb::UnixSocketPair& image) {
  auto& out = *image.add_queue();
  out.set_data(message.data);
  for (const auto id : files) out.add_description_ids(id);
  if (!message.credentials) return {};
  if (message.credentials->pid == 0)
    return refuse(image.type(), "with a message from a process of another pid namespace");
  out.mutable_credentials()->set_pid(message.credentials->pid);
  out.mutable_credentials()->set_uid(message.credentials->uid);
  out.mutable_credentials()->set_gid(message.credentials->gid);
  return {};
}

Result<void> collect_queue(CollectContext& context, const OpenDescription& description,
                           pb::UnixSocketPair& image) {
  if (const auto* refusal = context.in_flight().refusal(description.id))
    return tl::unexpected(*refusal);
  // Of a connection that was cut; pending errors of other sorts can't be made again.
  if ((events_of(description.copy.get()) & POLLERR) != 0) {
    if (image.peer() != Peer::CLOSED || image.type() == SOCK_DGRAM)
      return refuse(image.type(), "with an error it has not reported yet");
    image.set_reset_pending(true);
  }
  const auto* queue = context.in_flight().queue(description.id);
  static const std::vector<net::QueuedMessage> kNothing;
  if (image.peer() == Peer::OPEN) {
    const auto peer = TRY(context.copy_of(context.description(image.peer_description_id())));
    TRY(net::check_all_seen(peer.get(), static_cast<int>(image.type()),
                            queue == nullptr ? kNothing : queue->messages));
  }
  if (queue == nullptr) return {};
  if (image.peer() == Peer::NONE)
    return refuse(image.type(), "with messages of a sender it is no longer connected to");
  for (size_t i = 0; i < queue->messages.size(); ++i)
    TRY(add_message(queue->messages[i], queue->files[i], image));
  return {};
}

bool carries_files(const pb::UnixSocketPair& image) {
  return std::any_of(image.queue().begin(), image.queue().end(),
                     [](const auto& message) { return !message.description_ids().empty(); });
}

Result<void> shut_down(int fd, uint32_t mask) {
  if ((mask & 3) == 0) return {};
  const int how = mask == 1 ? SHUT_RD : mask == 2 ? SHUT_WR : SHUT_RDWR;
  if (shutdown(fd, how) != 0) return fail_errno("shut a socket down");
  return {};
}

// Sends what waits in an end from the other one. No signal may tell its owner of it (O_ASYNC).
Result<void> fill(const RestoreContext& context, int end, int sender,
                  const pb::UnixSocketPair& image) {
  const auto file_of = [&](uint32_t id) -> Result<int> {
    const int fd = context.number_of(id, -1);
    if (fd < 0) return fail(ErrorKind::kImages, "a message of a UNIX socket with unknown files");
    return fd;
  };
  const int flags = fcntl(end, F_GETFL);
  if (flags < 0) return fail_errno("F_GETFL");
  if ((flags & O_ASYNC) != 0 && fcntl(end, F_SETFL, flags & ~O_ASYNC) != 0)
    return fail_errno("F_SETFL");
  TRY(net::fill_unix_queue(sender, static_cast<int>(image.type()), image.queue(), file_of));
  if ((flags & O_ASYNC) != 0 && fcntl(end, F_SETFL, flags) != 0) return fail_errno("F_SETFL");
  return {};
}

// The image of the other end; nullptr when that is not open.
const pb::UnixSocketPair* other_image(const RestoreContext& context,
                                      const pb::UnixSocketPair& image) {
  if (image.peer() != Peer::OPEN) return nullptr;
  return &context.image().description(image.peer_description_id()).unix_socket_pair();
}

// Queues, options and shutdown states of a pair that was just made.
Result<void> complete(const RestoreContext& context, const pb::UnixSocketPair& image,
                      SocketEnds& ends) {
  const int first = ends.first.get();
  if (ends.second) TRY(fill(context, first, ends.second.get(), image));
  if (const auto* other = other_image(context, image)) {
    TRY(fill(context, ends.second.get(), first, *other));
    TRY(net::apply_unix_socket(ends.second.get(), *other));
    TRY(shut_down(ends.second.get(), other->shutdown()));
  } else if (ends.second) {
    // A connection ends with an error where something was left unread.
    if (image.reset_pending() && send(first, "", 1, MSG_NOSIGNAL) != 1)
      return fail_errno("send to a UNIX socket");
    ends.second.reset();
    // A datagram socket notices that its peer is gone when it sends to it.
    if (image.peer() == Peer::NONE &&
        (send(first, "", 0, MSG_NOSIGNAL) == 0 || errno != ECONNREFUSED))
      return fail_errno("part a UNIX socket from its peer");
  }
  TRY(net::apply_unix_socket(first, image));
  return shut_down(first, image.shutdown());
}

// Descriptors in flight exist only when every description does.
bool completed_later(const RestoreContext& context, const pb::UnixSocketPair& image) {
  const auto* other = other_image(context, image);
  return carries_files(image) || (other != nullptr && carries_files(*other));
}

Result<std::pair<UniqueFd, UniqueFd>> make_or_take_pair(const RestoreContext& context,
                                                        const pb::UnixSocketPair& image) {
  const auto lent = context.inputs().lent_pairs.find(image.pair_id());
  if (lent == context.inputs().lent_pairs.end()) return net::make_unix_pair(image);
  return std::pair(UniqueFd(lent->second.first), UniqueFd(lent->second.second));
}

// `first` of the ends is that of `description`.
Result<SocketEnds> make_ends(RestoreContext& context, const pb::Description& description) {
  const auto& image = description.unix_socket_pair();
  auto [first, second] = TRY(make_or_take_pair(context, image));
  SocketEnds ends;
  ends.first_id = description.id();
  ends.first = TRY(context.keep(std::move(first)));
  if (second) ends.second = TRY(context.keep(std::move(second)));
  ends.completed = !completed_later(context, image);
  if (ends.completed) TRY(complete(context, image, ends));
  return ends;
}

}  // namespace

bool UnixSocketPairKind::matches(const OpenDescription& description) const {
  return S_ISSOCK(description.st.st_mode) && !description.is_path_only() &&
         is_unnamed_unix_socket(description.copy.get());
}

Result<void> UnixSocketPairKind::collect(CollectContext& context,
                                         const OpenDescription& description,
                                         pb::Description& image) const {
  auto& socket = *image.mutable_unix_socket_pair();
  socket.set_type(static_cast<uint32_t>(type_of(description.copy.get())));
  TRY(collect_peer(context, description, socket));
  TRY(net::read_unix_socket(description.copy.get(), socket));
  return collect_queue(context, description, socket);
}

bool UnixSocketPairKind::owns(const pb::Description& image) const {
  return image.has_unix_socket_pair();
}

void UnixSocketPairKind::link(const pb::Description& image, DescriptionGroups& groups) const {
  const auto& socket = image.unix_socket_pair();
  groups.join_object(image.id(), "socket pair", socket.pair_id());
  if (carries_files(socket)) groups.hold(image.id());
  for (const auto& message : socket.queue())
    for (const auto id : message.description_ids()) groups.join(image.id(), id);
}

Result<UniqueFd> UnixSocketPairKind::restore(RestoreContext& context,
                                             const pb::Description& image) const {
  const auto pair_id = image.unix_socket_pair().pair_id();
  auto known = context.socket_pairs.find(pair_id);
  if (known == context.socket_pairs.end())
    known = context.socket_pairs.emplace(pair_id, TRY(make_ends(context, image))).first;
  const auto& ends = known->second;
  UniqueFd fd(
      fcntl((image.id() == ends.first_id ? ends.first : ends.second).get(), F_DUPFD_CLOEXEC, 0));
  if (!fd) return fail_errno("duplicate a socket");
  return fd;
}

Result<void> UnixSocketPairKind::finish(RestoreContext& context, const pb::Description& image,
                                        int) const {
  const auto& socket = image.unix_socket_pair();
  if (!completed_later(context, socket)) return {};
  auto& ends = context.socket_pairs[socket.pair_id()];
  if (image.id() != ends.first_id) return {};
  return complete(context, socket, ends);
}

}  // namespace cryostat::files
