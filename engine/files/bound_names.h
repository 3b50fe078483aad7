// The files of UNIX sockets that are bound to paths (unix(7)), while a tree is restored: the tasks
// make them in folders beside their places, cr-restore puts them there when everything is ready.
#pragma once

#include <string>
#include <vector>

#include "engine/base/error.h"
#include "engine/base/unique_fd.h"

namespace cryostat::image {
struct FilesImage;
}
namespace cryostat::pb {
class UnixName;
}

namespace cryostat::files {

// The name of a description's socket, if bind(2) has made a file for it that is to be there; else
// nullptr.
const pb::UnixName* name_with_file(const image::FilesImage& image, uint32_t description);

// Without keep() nothing is left of it, even if this process is killed: a process that waits for
// its end removes what was made.
class BoundNames {
 public:
  // Makes the folders. To be called before the tasks exist; the plan was checked
  // (net::check_unix_name).
  static Result<BoundNames> prepare(const image::FilesImage& image);
  BoundNames(BoundNames&& other) noexcept;
  BoundNames& operator=(BoundNames&&) = delete;
  ~BoundNames();

  // What the folders are called.
  const std::string& room() const { return room_; }

  // Puts every file in its place. One that was left there by the process that was dumped, or by an
  // earlier restore, is replaced; kMachine when another one has come there since the plan.
  Result<void> publish();
  // The restore is complete.
  void keep();

 private:
  struct Name {
    uint32_t description = 0;
    const pb::UnixName* name = nullptr;
    bool was_there = false;
  };
  BoundNames() = default;
  Result<void> watch();
  bool undo() const;  // false: something is left
  std::string room_;
  std::vector<std::string> folders_;
  std::vector<Name> names_;
  UniqueFd guard_;  // the other end is the process that waits
};

}  // namespace cryostat::files
