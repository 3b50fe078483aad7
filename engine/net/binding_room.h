// Where the files of UNIX sockets come to be (bind(2), unix(7)): a socket keeps the address it was
// bound with for ever, its file can be moved. Inside a room any address can be bound, and nobody
// meets the file before it is complete.
#pragma once

#include <functional>
#include <set>
#include <string>
#include <string_view>

#include "engine/base/error.h"
#include "engine/base/unique_fd.h"

namespace cryostat::net {

class BindingRoom {
 public:
  // On a file system of its own that nobody else sees (fsopen(2), CAP_SYS_ADMIN), for files that
  // are deleted at once.
  static Result<BindingRoom> hidden();
  // In the folder `path`, which must exist; several processes may work in it.
  static Result<BindingRoom> in(const std::string& path);

  // Binds a socket to a path, absolute or relative, or to an abstract name. The file becomes
  // `keep_as` in the room (mode 0777), or is deleted where that is empty. Changes root and working
  // directory for the time of the call. Preconditions: single-threaded; CAP_SYS_CHROOT.
  Result<void> bind(int socket, std::string_view name, const std::string& keep_as = "");

  // Passes its descriptors through `keep`, which may give them other numbers.
  Result<void> move_fds(const std::function<Result<UniqueFd>(UniqueFd)>& keep);

 private:
  BindingRoom() = default;
  Result<void> open_surroundings();
  Result<void> begin_workplace();
  Result<void> enter() const;
  Result<void> leave() const;
  Result<void> bind_inside(int socket, const std::string& path, const std::string& keep_as);
  Result<void> make_parents(const std::string& path);

  UniqueFd home_;                  // the room
  UniqueFd workplace_;             // a folder in it that is the root while something is bound
  UniqueFd root_;                  // of this process
  UniqueFd directory_;             // its working directory
  std::set<std::string> folders_;  // made in the workplace
  unsigned workplaces_ = 0;
};

// bind(2) to an abstract name.
Result<void> bind_abstract(int socket, std::string_view name);

}  // namespace cryostat::net
