// What a task of the tree has in common with others (clone(2)), and which of them sees to it: the
// first one that has it, the others follow.
#pragma once

#include <cstdint>
#include <vector>

#include "engine/image/task_image.h"

namespace cryostat::restore {

// Indices into the images. The leader of what only one task has is the task itself.
struct SharingRole {
  struct Part {
    size_t leader = 0;
    std::vector<size_t> followers;  // in the leader's role
  };
  size_t task = 0;
  // Tasks with something in common run hosted code in turns (Rendezvous::take_turn()): the number
  // of theirs, or Rendezvous::kNoTurn.
  uint32_t turn = 0;
  Part memory;  // rebuilt by the leader; followers wait for it in the restorer blob
  Part table;   // filled by the leader; followers have no descriptor work of their own
  Part
      directories;  // root, working directory and umask: set by the leader when nobody needs a path

  bool follows(const Part& part) const { return part.leader != task; }
  bool is_shared(const Part& part) const { return follows(part) || !part.followers.empty(); }
};

// One for each task, zombies included.
std::vector<SharingRole> sharing_roles(const image::TasksImage& images);

}  // namespace cryostat::restore
