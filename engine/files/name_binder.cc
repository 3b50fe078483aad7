#include "engine/files/name_binder.h"

#include "engine/files/file_place.h"
#include "engine/net/unix_address.h"
#include "proto/sockets.pb.h"

namespace cryostat::files {

Result<net::BindingRoom*> NameBinder::remember(const std::string& key,
                                               Result<net::BindingRoom> room) {
  auto opened = TRY(std::move(room));
  TRY(opened.move_fds(keep_));
  return &rooms_.emplace(key, std::move(opened)).first->second;
}

Result<net::BindingRoom*> NameBinder::hidden() {
  if (const auto known = rooms_.find(""); known != rooms_.end()) return &known->second;
  return remember("", net::BindingRoom::hidden());
}

Result<void> NameBinder::bind(int socket, uint32_t description, const pb::UnixName& name) {
  if (net::is_abstract(name.address())) return net::bind_abstract(socket, name.address());
  if (name.path().empty()) return TRY(hidden())->bind(socket, name.address());
  if (room_.empty())
    return fail(ErrorKind::kFailed, "there is no place for the file of " + name.path());
  const auto folder = directory_of(name.path()) + "/" + room_;
  const auto known = rooms_.find(folder);
  auto* room =
      known != rooms_.end() ? &known->second : TRY(remember(folder, net::BindingRoom::in(folder)));
  return room->bind(socket, name.address(), std::to_string(description));
}

}  // namespace cryostat::files
