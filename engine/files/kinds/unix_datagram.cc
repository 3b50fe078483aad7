#include "engine/files/kinds/unix_datagram.h"

#include <fmt/format.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include <algorithm>

#include "engine/base/plan_report.h"
#include "engine/files/collect_context.h"
#include "engine/files/datagram_account.h"
#include "engine/files/datagram_restore.h"
#include "engine/files/description_groups.h"
#include "engine/files/restore_context.h"
#include "engine/files/unix_socket_state.h"
#include "engine/files/unix_sort.h"
#include "engine/net/sock_diag.h"
#include "engine/net/unix_address.h"
#include "engine/net/unix_name.h"
#include "engine/net/unix_pair.h"
#include "engine/net/unix_queue.h"

namespace cryostat::files {

namespace {

using Peer = pb::UnixSocketPair;

Result<void> collect_closed_peer(const CollectContext& context, const net::UnixSocket& socket,
                                 const std::string& name, pb::UnixSocketPair& image) {
  if (net::is_abstract(name) && context.unix_sockets.datagram_at(name) != nullptr)
    return refuse_unix(image.type(), fmt::format("unix[{}] that is connected to a closed one whose "
                                                 "name {} another socket has now",
                                                 socket.inode, net::show_unix_name(name)));
  if (name.empty())
    return refuse_unix(image.type(), fmt::format("unix[{}] {} whose other end, without a name, is "
                                                 "closed",
                                                 socket.inode, net::show_unix_name(socket.name)));
  image.set_peer(Peer::CLOSED);
  image.set_peer_address(name);
  return {};
}

Result<void> collect_peer(const CollectContext& context, const OpenDescription& description,
                          const net::UnixSocket& socket, pb::UnixSocketPair& image) {
  if (!has_peer(description.copy.get())) return {};
  const auto name = net::peer_unix_name(description.copy.get());
  const auto* other = context.unix_sockets.find(socket.peer_inode);
  if (other == nullptr) return collect_closed_peer(context, socket, name, image);
  const auto* peer = context.with_inode(description.st.st_dev, other->inode);
  const bool mutual = other->peer_inode == socket.inode;
  if (peer != nullptr && !other->named() && !mutual)
    return refuse_unix(image.type(), "whose other end has no name and another peer");
  if (peer != nullptr) {
    image.set_peer(Peer::OPEN);
    image.set_peer_description_id(peer->id);
    return {};
  }
  if (!context.options().ext_unix_sockets || !other->named() || mutual)
    return refuse_outside(image.type(), socket, *other,
                          mutual || !other->named() ? "" : " (see --ext-unix-sk)");
  image.set_peer(Peer::OUTSIDE);
  image.set_peer_address(name);
  return {};
}

// Others that send here will find nobody for a while, and then somebody else.
Result<void> refuse_outside_senders(const CollectContext& context,
                                    const OpenDescription& description,
                                    const net::UnixSocket& socket, uint32_t type) {
  if (context.options().ext_unix_sockets) return {};
  for (const auto* other : context.unix_sockets.connected_to(socket.inode))
    if (context.with_inode(description.st.st_dev, other->inode) == nullptr)
      return refuse_outside(type, socket, *other, " (see --ext-unix-sk)");
  return {};
}

// Who of the target has sent what waits here.
Result<void> find_senders(const CollectContext& context, const OpenDescription& description,
                          pb::UnixSocketPair& image) {
  for (auto& message : *image.mutable_queue()) {
    const auto* sender = context.unix_sockets.datagram_at(message.sender());
    if (sender == nullptr || message.sender().empty()) continue;
    if (const auto* member = context.with_inode(description.st.st_dev, sender->inode)) {
      message.set_sender_description_id(member->id);
    } else if (net::is_abstract(message.sender())) {
      return refuse_unix(image.type(),
                         fmt::format("with an unread message from {}, which is outside the target,",
                                     net::show_unix_name(message.sender())));
    }
  }
  return {};
}

}  // namespace

bool UnixDatagramKind::matches(const OpenDescription& description) const {
  return S_ISSOCK(description.st.st_mode) && !description.is_path_only() &&
         unix_sort_of(description.copy.get()) == UnixSort::kDatagram;
}

Result<void> UnixDatagramKind::collect(CollectContext& context, const OpenDescription& description,
                                       pb::Description& image) const {
  auto& out = *image.mutable_unix_datagram();
  const int fd = description.copy.get();
  out.set_type(SOCK_DGRAM);
  const auto& socket = *TRY(find_unix_socket(context, description, out.type()));
  out.set_shutdown(socket.shutdown);
  if (socket.named()) TRY(net::read_unix_name(fd, net::NameFile::kOwn, *out.mutable_name()));
  TRY(collect_peer(context, description, socket, out));
  TRY(refuse_outside_senders(context, description, socket, out.type()));
  TRY(net::read_unix_socket(fd, out));
  TRY(collect_unix_queue(context, description, out));
  if ((socket_events(fd) & POLLERR) != 0)
    return refuse_unix(out.type(), "with an error it has not reported yet");
  if (!context.unseen_datagrams) context.unseen_datagrams = TRY(senders_of_unseen(context));
  if (context.unseen_datagrams->contains(socket.name) && TRY(net::memory_in_flight(fd)) > 0)
    return refuse_unix(out.type(),
                       fmt::format("unix[{}] {} that has sent messages which can't all be seen (to "
                                   "sockets outside, or empty ones that were peeked at before)",
                                   socket.inode, net::show_unix_name(socket.name)));
  return find_senders(context, description, out);
}

bool UnixDatagramKind::owns(const pb::Description& image) const {
  return image.has_unix_datagram();
}

void UnixDatagramKind::check(CheckContext& context, const pb::Description& image,
                             PlanReport& report) const {
  const auto& socket = image.unix_datagram();
  const auto check_name = [&](const pb::UnixName& name) {
    if (!name.path().empty() || context.first_time("UNIX socket " + name.address()))
      net::check_unix_name(name, report);
  };
  // Names that others had are needed for a moment.
  const auto check_address = [&](const std::string& address) {
    pb::UnixName name;
    name.set_address(address);
    if (net::is_abstract(address)) check_name(name);
  };
  if (socket.has_name()) check_name(socket.name());
  for (const auto& message : socket.queue())
    if (message.sender_description_id() == 0) check_address(message.sender());
  if (socket.peer() == Peer::CLOSED) check_address(socket.peer_address());
  if (socket.peer() != Peer::OUTSIDE) return;
  const auto subject = fmt::format("UNIX socket {}", net::show_unix_name(socket.peer_address()));
  if (!context.first_time("outside " + subject)) return;
  if (net::is_unix_name_in_use(socket.peer_address())) {
    report.ok(subject, "is there to connect to");
  } else {
    report.missing(subject, "nobody listens there; a socket of the target was connected to it",
                   "start the service that it belongs to");
  }
}

// All of them are completed together, by one of them.
void UnixDatagramKind::link(const pb::Description& image, DescriptionGroups& groups) const {
  const auto& socket = image.unix_datagram();
  groups.hold(image.id());
  groups.join(image.id(), socket.peer_description_id());
  if (is_made_as_pair(socket))
    groups.join_object(image.id(), "datagram pair",
                       std::min(image.id(), socket.peer_description_id()));
  for (const auto& message : socket.queue()) {
    groups.join(image.id(), message.sender_description_id());
    for (const auto id : message.description_ids()) groups.join(image.id(), id);
  }
}

Result<UniqueFd> UnixDatagramKind::restore(RestoreContext& context,
                                           const pb::Description& image) const {
  const auto& socket = image.unix_datagram();
  UniqueFd fd;
  if (!is_made_as_pair(socket)) {
    fd.reset(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0));
    if (!fd) return fail_errno("create a UNIX socket");
  } else if (auto& made = context.unix_sockets[image.id()]) {
    fd = std::move(made);
  } else {
    auto [first, second] = TRY(net::make_unix_pair(socket));
    fd = std::move(first);
    context.unix_sockets[socket.peer_description_id()] = TRY(context.keep(std::move(second)));
  }
  if (socket.has_name()) TRY(context.names().bind(fd.get(), image.id(), socket.name()));
  return fd;
}

Result<void> UnixDatagramKind::finish(RestoreContext& context, const pb::Description&, int) const {
  if (std::exchange(context.datagrams_done, true)) return {};
  return complete_datagram_sockets(context);
}

}  // namespace cryostat::files
