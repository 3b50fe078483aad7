// Seals of memfds (F_ADD_SEALS, fcntl(2)), put on once all tasks of the tree have mapped and opened
// them: a memfd that is sealed against writing takes neither a writable mapping nor content.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "engine/base/error.h"
#include "engine/base/unique_fd.h"
#include "engine/image/checkpoint_images.h"
#include "engine/restore/object_owners.h"
#include "engine/restore/rendezvous.h"

namespace cryostat::restore {

class ObjectSeals {
 public:
  // Takes hold of every object that is to be sealed, in the task that has made it. Precondition:
  // every task is ready to enter the restorer, and none has. Objects that a task executes are left
  // out: they were sealed by their maker (memory::SharedMemoryFds::create).
  static Result<ObjectSeals> take(const image::CheckpointImages& images, const ObjectOwners& owners,
                                  const Rendezvous& rendezvous);

  // Precondition: the restorer has mapped everything, everywhere.
  Result<void> set() const;

 private:
  struct Sealed {
    UniqueFd path;  // O_PATH: one open for writing would keep a task from executing the object
    uint32_t seals;
    std::string name;
  };
  std::vector<Sealed> objects_;
};

}  // namespace cryostat::restore
