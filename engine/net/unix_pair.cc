#include "engine/net/unix_pair.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <vector>

#include "engine/net/noted_identity.h"
#include "engine/net/socket_options.h"
#include "engine/net/socket_owner.h"
#include "proto/sockets.pb.h"

namespace cryostat::net {

namespace {

constexpr uint32_t kNobody = ~0u;  // SO_PEERCRED of a socket that was never connected

Result<void> read_creator(int socket, pb::UnixSocketPair& image) {
  struct ucred creator = {};
  socklen_t length = sizeof creator;
  if (getsockopt(socket, SOL_SOCKET, SO_PEERCRED, &creator, &length) != 0)
    return fail_errno("get SO_PEERCRED");
  if (creator.uid == kNobody && creator.pid == 0) return {};
  image.mutable_creator()->set_pid(creator.pid);
  image.mutable_creator()->set_uid(creator.uid);
  image.mutable_creator()->set_gid(creator.gid);
  std::vector<gid_t> groups(32);
  length = static_cast<socklen_t>(groups.size() * sizeof(gid_t));
  int done = getsockopt(socket, SOL_SOCKET, SO_PEERGROUPS, groups.data(), &length);
  if (done != 0 && errno == ERANGE) {
    groups.resize(length / sizeof(gid_t));
    done = getsockopt(socket, SOL_SOCKET, SO_PEERGROUPS, groups.data(), &length);
  }
  // 4.13; ENODATA when there are no credentials.
  if (done != 0) return {};
  for (size_t i = 0; i < length / sizeof(gid_t); ++i) image.add_creator_groups(groups[i]);
  return {};
}

// 0 or an errno value.
int create_at(const pb::UnixSocketPair& image, int first, int second) {
  int pair[2];
  const auto type = static_cast<int>(image.type()) | SOCK_CLOEXEC;
  if (socketpair(AF_UNIX, type, 0, pair) != 0) return errno;
  const bool done = dup3(pair[0], first, O_CLOEXEC) >= 0 && dup3(pair[1], second, O_CLOEXEC) >= 0;
  const int error = done ? 0 : errno;
  close(pair[0]);
  close(pair[1]);
  return error;
}

Result<UniqueFd> reserve_number() {
  UniqueFd fd(open("/", O_PATH | O_CLOEXEC));
  if (!fd) return fail_errno("open /");
  return fd;
}

}  // namespace

Result<void> read_unix_socket(int socket, pb::UnixSocketPair& image) {
  struct stat st;
  if (fstat(socket, &st) != 0) return fail_errno("stat a socket");
  image.set_mode(st.st_mode);
  image.set_uid(st.st_uid);
  image.set_gid(st.st_gid);
  TRY(read_creator(socket, image));
  TRY(read_socket_options(socket, *image.mutable_options()));
  image.set_filter(TRY(read_socket_filter(socket)));
  return {};
}

Result<std::pair<UniqueFd, UniqueFd>> make_unix_pair(const pb::UnixSocketPair& image) {
  const auto type = static_cast<int>(image.type());
  if (type != SOCK_STREAM && type != SOCK_DGRAM && type != SOCK_SEQPACKET)
    return fail(ErrorKind::kImages, fmt::format("a UNIX socket of type {}", type));
  if (image.peer() == pb::UnixSocketPair::NONE && !image.has_creator()) {
    UniqueFd alone(socket(AF_UNIX, type | SOCK_CLOEXEC, 0));
    if (!alone) return fail_errno("create a UNIX socket");
    return std::pair(std::move(alone), UniqueFd());
  }
  auto first = TRY(reserve_number()), second = TRY(reserve_number());
  TRY(act_as_creator(image, "create a socket pair",
                     [&] { return create_at(image, first.get(), second.get()); }));
  return std::pair(std::move(first), std::move(second));
}

Result<void> apply_unix_socket(int socket, const pb::UnixSocketPair& image) {
  TRY(apply_socket_owner(socket, image.uid(), image.gid(), image.mode()));
  TRY(apply_socket_filter(socket, image.filter()));
  return apply_socket_options(socket, image.options());
}

}  // namespace cryostat::net
