#include "engine/files/kinds/unix_socket_pair.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <linux/sockios.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include <algorithm>

#include "engine/files/collect_context.h"
#include "engine/files/description_groups.h"
#include "engine/files/in_flight.h"
#include "engine/files/kinds/unix_listener.h"
#include "engine/files/restore_context.h"
#include "engine/files/unix_socket_state.h"
#include "engine/files/unix_sort.h"
#include "engine/net/sock_diag.h"
#include "engine/net/unix_address.h"
#include "engine/net/unix_connection.h"
#include "engine/net/unix_name.h"
#include "engine/net/unix_pair.h"
#include "engine/net/unix_queue.h"

namespace cryostat::files {

namespace {

using Peer = pb::UnixSocketPair;

// Both directions are shut down and nothing is left to read.
bool looks_closed(int fd) {
  const int events = socket_events(fd);
  const auto waiting = net::bytes_waiting(fd);
  return (events & POLLHUP) != 0 && (events & POLLRDHUP) != 0 && waiting && *waiting == 0;
}

// Of the two ends of a connection the one that was accepted has the name of the listening socket.
// `peer`: nullptr when it is closed.
bool was_accepted(const net::UnixSocketTable& table, const net::UnixSocket& socket,
                  const net::UnixSocket* peer, const std::string& peer_name) {
  if (!socket.named() || peer_name.empty()) return socket.named();
  const bool own_listens = table.listens_at(socket.name);
  if (own_listens != table.listens_at(peer_name)) return own_listens;
  // It is the younger one.
  return peer == nullptr || socket.inode > peer->inode;
}

// In the backlog of a listening socket. What was sent ahead lies in an end that nobody has yet.
Result<void> collect_waiting(const CollectContext& context, const OpenDescription& description,
                             const net::UnixSocket& socket, const net::UnixSocket& listener,
                             pb::UnixSocketPair& image) {
  const auto* listening = context.with_inode(description.st.st_dev, listener.inode);
  if (listening == nullptr) return refuse_outside(image.type(), socket, listener);
  int sent_bytes = 0;
  if (ioctl(description.copy.get(), SIOCOUTQ, &sent_bytes) != 0) return fail_errno("SIOCOUTQ");
  if (sent_bytes != 0)
    return refuse_unix(image.type(),
                       fmt::format("unix[{}] that has sent data ahead to {}, which has not "
                                   "accepted it yet,",
                                   socket.inode, net::show_unix_name(listener.name)));
  image.set_peer(Peer::WAITING);
  image.set_peer_description_id(listening->id);
  return {};
}

Result<void> collect_open_peer(CollectContext& context, const OpenDescription& description,
                               const net::UnixSocket& socket, const net::UnixSocket& other_end,
                               pb::UnixSocketPair& image) {
  const auto* peer = context.with_inode(description.st.st_dev, other_end.inode);
  if (peer == nullptr) return refuse_outside(image.type(), socket, other_end);
  if (other_end.peer_inode != socket.inode)
    return refuse_unix(image.type(), "whose other end has another peer");
  image.set_peer(Peer::OPEN);
  image.set_peer_description_id(peer->id);
  image.set_pair_id(std::min(description.id, peer->id));
  return {};
}

Result<void> collect_peer(CollectContext& context, const OpenDescription& description,
                          pb::UnixSocketPair& image) {
  const int fd = description.copy.get();
  image.set_pair_id(description.id);
  if (auto read = context.read_unix_sockets(); !read) {
    // Without a list of sockets one thing can be told all the same.
    if (image.type() == SOCK_DGRAM || !looks_closed(fd) || !net::own_unix_name(fd).empty() ||
        !net::peer_unix_name(fd).empty())
      return read;
    image.set_peer(Peer::CLOSED);
    return {};
  }
  const auto& socket = *TRY(find_unix_socket(context, description, image.type()));
  image.set_shutdown(socket.shutdown);
  if (!has_peer(fd)) return {};
  const auto peer_name = net::peer_unix_name(fd);
  const auto* listener = context.unix_sockets.awaited_by(socket.inode);
  // A datagram socket stays connected to one that was closed. Newer kernels (6.17) still tell the
  // number that one had, but have it on no list.
  const auto* other_end = context.unix_sockets.find(socket.peer_inode);
  // In flight in its own queue only, it is garbage that the kernel has not collected yet.
  if (other_end != nullptr && listener == nullptr &&
      context.with_inode(description.st.st_dev, other_end->inode) == nullptr &&
      context.collect_unix_garbage(other_end->inode))
    return collect_peer(context, description, image);
  if (listener == nullptr)
    image.set_accepted(was_accepted(context.unix_sockets, socket, other_end, peer_name));
  if (socket.named())
    TRY(net::read_unix_name(fd, image.accepted() ? net::NameFile::kOfListener : net::NameFile::kOwn,
                            *image.mutable_name()));
  if (listener != nullptr) return collect_waiting(context, description, socket, *listener, image);
  if (other_end != nullptr)
    return collect_open_peer(context, description, socket, *other_end, image);
  image.set_peer(Peer::CLOSED);
  image.set_peer_address(peer_name);
  return {};
}

Result<void> collect_queue(CollectContext& context, const OpenDescription& description,
                           pb::UnixSocketPair& image) {
  TRY(collect_unix_queue(context, description, image));
  // Of a connection that was cut; pending errors of other sorts can't be made again.
  if ((socket_events(description.copy.get()) & POLLERR) != 0) {
    if (image.peer() != Peer::CLOSED || image.type() == SOCK_DGRAM)
      return refuse_unix(image.type(), "with an error it has not reported yet");
    image.set_reset_pending(true);
  }
  static const std::vector<net::QueuedMessage> kNothing;
  const auto* queue = context.in_flight().queue(description.id);
  if (image.peer() == Peer::OPEN) {
    const auto peer = TRY(context.copy_of(context.description(image.peer_description_id())));
    TRY(net::check_all_seen(peer.get(), static_cast<int>(image.type()),
                            queue == nullptr ? kNothing : queue->messages));
  }
  if (queue != nullptr && image.peer() == Peer::NONE)
    return refuse_unix(image.type(), "with messages of a sender it is no longer connected to");
  return {};
}

// Sends what waits in an end from the other one.
Result<void> fill(const RestoreContext& context, int end, int sender,
                  const pb::UnixSocketPair& image) {
  const auto silent = TRY(SilentSocket::make(end));
  return net::fill_unix_queue(sender, static_cast<int>(image.type()), image.queue(),
                              [&](uint32_t id) { return file_in_flight(context, id); });
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

// The ends of a connection: the accepted one first.
Result<std::pair<UniqueFd, UniqueFd>> make_or_take_pair(RestoreContext& context,
                                                        const pb::UnixSocketPair& image) {
  const auto lent = context.inputs().lent_pairs.find(image.pair_id());
  if (lent != context.inputs().lent_pairs.end())
    return std::pair(UniqueFd(lent->second.first), UniqueFd(lent->second.second));
  const auto* other = other_image(context, image);
  if (!net::is_connection(image, other)) return net::make_unix_pair(image);
  const auto ends = net::ConnectionEnds::of(image, other);
  const UniqueFd listener = TRY(net::make_listener_for(ends, *TRY(context.names().hidden())));
  return net::connect_through(listener.get(), ends);
}

Result<void> bind_own_name(RestoreContext& context, const UniqueFd& socket, uint32_t id) {
  const auto& image = context.image().description(id).unix_socket_pair();
  if (!image.has_name() || image.accepted()) return {};
  return context.names().bind(socket.get(), id, image.name());
}

// `first` of the ends is that of `description`.
Result<SocketEnds> make_ends(RestoreContext& context, const pb::Description& description) {
  const auto& image = description.unix_socket_pair();
  auto [first, second] = TRY(make_or_take_pair(context, image));
  if (!image.accepted() && net::is_connection(image, other_image(context, image)))
    std::swap(first, second);
  SocketEnds ends;
  ends.first_id = description.id();
  ends.first = TRY(context.keep(std::move(first)));
  if (second) ends.second = TRY(context.keep(std::move(second)));
  TRY(bind_own_name(context, ends.first, description.id()));
  if (image.peer() == Peer::OPEN)
    TRY(bind_own_name(context, ends.second, image.peer_description_id()));
  ends.completed = !completed_later(context, image);
  if (ends.completed) TRY(complete(context, image, ends));
  return ends;
}

// A socket in a backlog is made with the listening one.
Result<UniqueFd> take_waiting(RestoreContext& context, const pb::Description& description) {
  const auto& image = description.unix_socket_pair();
  TRY(make_unix_listener(context, image.peer_description_id()));
  auto fd = std::move(context.unix_sockets[description.id()]);
  if (!fd) return fail(ErrorKind::kImages, "waits in a backlog that does not have it");
  TRY(bind_own_name(context, fd, description.id()));
  TRY(net::apply_unix_socket(fd.get(), image));
  TRY(shut_down(fd.get(), image.shutdown()));
  return fd;
}

}  // namespace

bool UnixSocketPairKind::matches(const OpenDescription& description) const {
  return S_ISSOCK(description.st.st_mode) && !description.is_path_only() &&
         unix_sort_of(description.copy.get()) == UnixSort::kConnection;
}

Result<void> UnixSocketPairKind::collect(CollectContext& context,
                                         const OpenDescription& description,
                                         pb::Description& image) const {
  auto& socket = *image.mutable_unix_socket_pair();
  socket.set_type(static_cast<uint32_t>(socket_type_of(description.copy.get())));
  TRY(collect_peer(context, description, socket));
  TRY(net::read_unix_socket(description.copy.get(), socket));
  return collect_queue(context, description, socket);
}

bool UnixSocketPairKind::owns(const pb::Description& image) const {
  return image.has_unix_socket_pair();
}

void UnixSocketPairKind::check(CheckContext& context, const pb::Description& image,
                               PlanReport& report) const {
  const auto& socket = image.unix_socket_pair();
  if (socket.has_name() && context.first_time("UNIX socket " + socket.name().address()))
    net::check_unix_name(socket.name(), report);
  // Had for a moment, to connect to it.
  if (net::is_abstract(socket.peer_address()) &&
      context.first_time("UNIX socket " + socket.peer_address())) {
    pb::UnixName name;
    name.set_address(socket.peer_address());
    net::check_unix_name(name, report);
  }
}

void UnixSocketPairKind::link(const pb::Description& image, DescriptionGroups& groups) const {
  const auto& socket = image.unix_socket_pair();
  if (socket.peer() == Peer::WAITING)
    return groups.join_object(image.id(), "listening socket", socket.peer_description_id());
  groups.join_object(image.id(), "socket pair", socket.pair_id());
  if (carries_files(socket)) groups.hold(image.id());
  for (const auto& message : socket.queue())
    for (const auto id : message.description_ids()) groups.join(image.id(), id);
}

Result<UniqueFd> UnixSocketPairKind::restore(RestoreContext& context,
                                             const pb::Description& image) const {
  if (image.unix_socket_pair().peer() == Peer::WAITING) return take_waiting(context, image);
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
  if (socket.peer() == Peer::WAITING || !completed_later(context, socket)) return {};
  auto& ends = context.socket_pairs[socket.pair_id()];
  if (image.id() != ends.first_id) return {};
  return complete(context, socket, ends);
}

}  // namespace cryostat::files
