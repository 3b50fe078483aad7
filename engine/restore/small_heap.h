// Makes forks of cr-restore cheap: the memory that the processes of a tree write to is kept apart
// from the large memory that they only read.
#pragma once

#include <functional>

namespace cryostat::restore {

// Runs `work` on a thread of its own and waits for it. What it allocates comes from a new heap (an
// arena of malloc(3)), as does everything in a process that it forks. Written to by a process of
// the tree, a huge page of the large heap would be divided into 512 entries, which every later fork
// copies and every process drops. Without a thread the work is done all the same.
void run_with_small_heap(const std::function<void()>& work);

}  // namespace cryostat::restore
