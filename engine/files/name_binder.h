// Gives the sockets of a task that is being restored the names they had.
#pragma once

#include <functional>
#include <map>
#include <string>

#include "engine/base/error.h"
#include "engine/base/unique_fd.h"
#include "engine/net/binding_room.h"

namespace cryostat::pb {
class UnixName;
}

namespace cryostat::files {

class NameBinder {
 public:
  using Keep = std::function<Result<UniqueFd>(UniqueFd)>;
  // `room`: of BoundNames::room(), beside each file that is to be made. `keep` gives descriptors
  // numbers that are free for as long as this lives.
  NameBinder(std::string room, Keep keep) : room_(std::move(room)), keep_(std::move(keep)) {}

  // Binds the socket of this description. Its file waits in the room until BoundNames puts it in
  // place. kMachine when an abstract name is taken.
  Result<void> bind(int socket, uint32_t description, const pb::UnixName& name);

  // For sockets whose file is deleted at once.
  Result<net::BindingRoom*> hidden();

 private:
  Result<net::BindingRoom*> remember(const std::string& key, Result<net::BindingRoom> room);
  std::string room_;
  Keep keep_;
  std::map<std::string, net::BindingRoom> rooms_;  // by folder; "": the hidden one
};

}  // namespace cryostat::files
