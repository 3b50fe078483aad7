#include "engine/files/datagram_restore.h"

#include <fmt/format.h>

#include <cerrno>
#include <map>
#include <set>

#include "engine/files/restore_context.h"
#include "engine/files/unix_socket_state.h"
#include "engine/net/sock_diag.h"
#include "engine/net/unix_pair.h"
#include "engine/net/unix_queue.h"

namespace cryostat::files {

namespace {

using Peer = pb::UnixSocketPair;

class DatagramSockets {
 public:
  explicit DatagramSockets(RestoreContext& context) : context_(context) {
    for (const auto& description : context.image().descriptions) {
      const int fd = context.number_of(description.id(), -1);
      if (!description.has_unix_datagram() || fd < 0) continue;
      members_.emplace(description.id(), Member{fd, description.unix_datagram()});
    }
    for (const auto& [id, member] : members_)
      if (member.image.peer() == Peer::OPEN)
        connected_to_[member.image.peer_description_id()].push_back(id);
  }

  Result<void> complete() {
    for (const auto& [id, member] : members_) TRY(fill(id, member));
    for (const auto& [id, member] : members_) TRY(connect(id, member));
    for (const auto& [id, member] : members_) {
      TRY(net::apply_unix_socket(member.fd, member.image));
      TRY(shut_down(member.fd, member.image.shutdown()));
    }
    return {};
  }

 private:
  struct Member {
    int fd;
    const pb::UnixSocketPair& image;
  };

  // A socket of this name, or an unnamed one, that is closed afterwards.
  Result<int> stand_in(const std::string& name);
  Result<int> sender_of(const Member& receiver, const pb::UnixMessage& message);
  Result<void> fill(uint32_t id, const Member& member);
  Result<void> connect(uint32_t id, const Member& member);
  Result<void> connect_now(const Member& member);

  RestoreContext& context_;
  std::map<uint32_t, Member> members_;
  std::map<uint32_t, std::vector<uint32_t>> connected_to_;
  std::set<uint32_t> connected_;
  std::map<std::string, UniqueFd> stand_ins_;
};

Result<int> DatagramSockets::stand_in(const std::string& name) {
  if (const auto known = stand_ins_.find(name); known != stand_ins_.end())
    return known->second.get();
  UniqueFd fd(socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  if (!fd) return fail_errno("create a UNIX socket");
  fd = TRY(context_.keep(std::move(fd)));
  if (!name.empty()) TRY(TRY(context_.names().hidden())->bind(fd.get(), name));
  return stand_ins_.emplace(name, std::move(fd)).first->second.get();
}

// Of a pair only the other end may send.
Result<int> DatagramSockets::sender_of(const Member& receiver, const pb::UnixMessage& message) {
  const auto& image = receiver.image;
  const uint32_t sender =
      is_made_as_pair(image) ? image.peer_description_id() : message.sender_description_id();
  if (const auto known = members_.find(sender); known != members_.end()) return known->second.fd;
  return stand_in(message.sender());
}

Result<void> DatagramSockets::fill(uint32_t id, const Member& member) {
  if (member.image.queue().empty()) return {};
  const auto silent = TRY(SilentSocket::make(member.fd));
  const bool paired = is_made_as_pair(member.image);
  std::optional<net::UnixRoute> route;
  if (!paired) route.emplace(TRY(net::UnixRoute::to(member.fd)));
  const auto file_of = [this](uint32_t file) { return file_in_flight(context_, file); };
  for (const auto& message : member.image.queue()) {
    const int sender = TRY(sender_of(member, message));
    net::enlarge_send_buffer(sender, member.image.queue());
    const auto* to = paired ? nullptr : &*route;
    auto sent = net::send_unix_message(sender, to, message, file_of);
    // One that it is connected to may send more than others.
    if (!sent && sent.error().errno_value() == EAGAIN && member.image.peer() == Peer::OPEN) {
      TRY(connect(id, member));
      sent = net::send_unix_message(TRY(sender_of(member, message)), to, message, file_of);
    }
    TRY(sent);
  }
  return {};
}

// Whoever is connected to it comes first: nobody can be afterwards.
Result<void> DatagramSockets::connect(uint32_t id, const Member& member) {
  if (!connected_.insert(id).second) return {};
  for (const uint32_t other : connected_to_[id])
    if (other != member.image.peer_description_id()) TRY(connect(other, members_.at(other)));
  return connect_now(member);
}

Result<void> DatagramSockets::connect_now(const Member& member) {
  const auto& image = member.image;
  net::UnixAddress address;
  std::optional<net::UnixRoute> route;
  if (image.peer() == Peer::OPEN && !is_made_as_pair(image)) {
    const auto peer = members_.find(image.peer_description_id());
    if (peer == members_.end())
      return fail(ErrorKind::kImages, "a UNIX socket that is connected to one that is not there");
    route.emplace(TRY(net::UnixRoute::to(peer->second.fd)));
  } else if (image.peer() == Peer::CLOSED) {
    route.emplace(TRY(net::UnixRoute::to(TRY(stand_in(image.peer_address())))));
  } else if (image.peer() == Peer::OUTSIDE) {
    address = TRY(net::UnixAddress::of(image.peer_address()));
  } else {
    return {};
  }
  const auto* to = route ? route->get() : address.get();
  if (::connect(member.fd, to, route ? route->length() : address.length) != 0) {
    auto error = Error::from_errno(
        errno, fmt::format("connect to {}", net::show_unix_name(image.peer_address())));
    return tl::unexpected(image.peer() == Peer::OUTSIDE ? std::move(error).as(ErrorKind::kMachine)
                                                        : std::move(error));
  }
  return {};
}

}  // namespace

Result<void> complete_datagram_sockets(RestoreContext& context) {
  return DatagramSockets(context).complete();
}

}  // namespace cryostat::files
