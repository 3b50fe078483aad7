// New descriptors of every kind that a dump saves.
#pragma once

#include <string>
#include <vector>

#include "tests/generators/random_tree/board.h"
#include "tests/generators/random_tree/random.h"

namespace random_tree {

// What a new object may refer to.
struct Surroundings {
  std::string folder;        // files with new names may be made here
  const Board* board;        // for the numbers of other members
  uint32_t members;          // how many there may be
  std::vector<int> numbers;  // descriptors that are open
};

// The descriptors of a new object (none if this machine can't make it), not close-on-exec.
std::vector<int> open_object(Random& random, const Surroundings& around);

}  // namespace random_tree
