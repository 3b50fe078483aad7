// Signals, timers and the attributes of a process.
#pragma once

#include <sys/types.h>

#include <ctime>
#include <vector>

#include "tests/generators/random_tree/random.h"
#include "tests/generators/random_tree/report.h"

namespace random_tree {

void change_signal_action(Random& random);
void block_signals(Random& random);
// With a value, or from the kernel's side of things like kill(2); only signals that harm nobody.
void send_signal(Random& random, pid_t to);
void look_at_signals(Report& report);
// Takes all that are pending and blocked.
void drain_signals(Report& report);

// Timers are not inherited.
class Timers {
 public:
  void add(Random& random);
  void look(Report& report) const;
  void forget() { ids_.clear(); }

 private:
  std::vector<int> ids_;
};

void change_attribute(Random& random);
void change_credentials(Random& random);
// `parent`: may be anybody for the root of a tree, which says 0.
void look_at_attributes(pid_t parent, Report& report);

}  // namespace random_tree
