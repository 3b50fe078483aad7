// Further threads of a member, each asleep in its own way.
#pragma once

#include <memory>
#include <vector>

#include "tests/generators/random_tree/random.h"
#include "tests/generators/random_tree/report.h"

namespace random_tree {

class Threads {
 public:
  void add(Random& random);
  // Asks each of them what it has kept.
  void look(Report& report) const;
  // In a child: fork(2) has copied the calling thread only.
  void forget();

 private:
  struct Thread;
  static void* live(void* argument);
  std::vector<Thread*> threads_;  // never freed: their stacks may be in use
};

}  // namespace random_tree
