// Makes forks of cr-restore cheap: what it has read of a large tree are tens of megabytes, and each
// process of the tree inherits and drops them once.
#pragma once

namespace cryostat::restore {

// Moves this process's own large memory into huge pages (MADV_COLLAPSE, kernel 6.1), of which a
// fork copies one entry for each 512 pages. Only a help: its errors do not matter.
void collapse_own_memory();

}  // namespace cryostat::restore
