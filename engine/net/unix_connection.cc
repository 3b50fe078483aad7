#include "engine/net/unix_connection.h"

#include <sys/socket.h>

#include <cerrno>

#include "engine/net/noted_identity.h"
#include "engine/net/unix_address.h"
#include "proto/sockets.pb.h"

namespace cryostat::net {

namespace {

// Anybody, for act_as_creator().
const pb::UnixSocketPair& or_anybody(const pb::UnixSocketPair* noted) {
  return noted == nullptr ? pb::UnixSocketPair::default_instance() : *noted;
}

// From here on the kernel's own limit (net.core.somaxconn) counts.
constexpr int kLongBacklog = 1 << 16;

}  // namespace

ConnectionEnds ConnectionEnds::of(const pb::UnixSocketPair& end, const pb::UnixSocketPair* other) {
  if (end.accepted()) return {&end, other};
  return {other, &end};
}

int ConnectionEnds::type() const {
  return static_cast<int>(accepted != nullptr ? accepted->type() : client->type());
}

const std::string& ConnectionEnds::name() const {
  return accepted != nullptr ? accepted->name().address() : client->peer_address();
}

bool is_connection(const pb::UnixSocketPair& end, const pb::UnixSocketPair* other) {
  return end.accepted() || (other == nullptr ? !end.peer_address().empty() : other->accepted());
}

Result<void> listen_as(int socket, const pb::UnixSocketPair* noted, int backlog) {
  return act_as_creator(or_anybody(noted), "listen on a UNIX socket",
                        [&] { return listen(socket, backlog) == 0 ? 0 : errno; });
}

Result<UniqueFd> make_listener_for(const ConnectionEnds& ends, BindingRoom& room) {
  UniqueFd listener(socket(AF_UNIX, ends.type() | SOCK_CLOEXEC, 0));
  if (!listener) return fail_errno("create a UNIX socket");
  TRY(room.bind(listener.get(), ends.name()));
  TRY(listen_as(listener.get(), ends.client, kLongBacklog));
  return listener;
}

Result<UniqueFd> connect_to(int listener, int type, const pb::UnixSocketPair* noted) {
  // Not blocking: nobody would take connections from a full backlog.
  UniqueFd client(socket(AF_UNIX, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!client) return fail_errno("create a UNIX socket");
  const auto route = TRY(UnixRoute::to(listener));
  const auto done = act_as_creator(or_anybody(noted), "connect a UNIX socket", [&] {
    return connect(client.get(), route.get(), route.length()) == 0 ? 0 : errno;
  });
  if (!done && done.error().errno_value() == EAGAIN)
    return tl::unexpected(Error(done.error())
                              .as(ErrorKind::kMachine)
                              .with_hint("more connections waited to be accepted than "
                                         "/proc/sys/net/core/somaxconn allows; raise it"));
  TRY(done);
  return client;
}

Result<std::pair<UniqueFd, UniqueFd>> connect_through(int listener, const ConnectionEnds& ends) {
  UniqueFd client = TRY(connect_to(listener, ends.type(), ends.accepted));
  UniqueFd accepted(accept4(listener, nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
  if (!accepted) return fail_errno("accept a connection of UNIX sockets");
  return std::pair(std::move(accepted), std::move(client));
}

}  // namespace cryostat::net
