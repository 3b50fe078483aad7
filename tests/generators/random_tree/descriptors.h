// What a process can tell of its descriptors, and what it can do with them.
#pragma once

#include <vector>

#include "tests/generators/random_tree/report.h"

namespace random_tree {

// Open numbers above 2, in order.
std::vector<int> open_numbers();
// Changes nothing.
void look_at_descriptors(Report& report);
// Moves positions and adds to queues, in a way whose result tells who shares what.
void poke_descriptors();
// Takes out all that waits in queues.
void drain_descriptors(Report& report);

}  // namespace random_tree
