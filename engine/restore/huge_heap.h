// Makes forks of cr-restore cheap: what it has read of a large tree are tens of megabytes, and each
// process of the tree inherits and drops them once. Of huge pages a fork copies one entry for each
// 512 pages. Only a help: errors do not matter.
#pragma once

#include <cstdint>

namespace cryostat::restore {

// To be called before a tree is read whose records have so many bytes in their files: what is
// allocated from now on lies in huge pages from the beginning (MADV_HUGEPAGE), apart from what was
// allocated before. Does nothing for few bytes.
void prepare_heap(uint64_t record_bytes);

// Moves this process's own large memory into huge pages, as far as prepare_heap() has not seen to
// it (MADV_COLLAPSE, kernel 6.1). Copies it.
void collapse_own_memory();

}  // namespace cryostat::restore
