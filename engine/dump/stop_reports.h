// Which stops of children, and which continuations, their parents have collected with wait(2). A
// stop that was collected must not be told again after a restore, one that was not must be.
#pragma once

#include "engine/base/error.h"

namespace cryostat::dump {

class Tree;

// Asks each parent of the tree, from inside and without collecting anything (WNOWAIT, waitid(2)),
// and notes it in the children's Task. Precondition: every task is collected and infected. A parent
// whose seccomp filters are not suspended is not asked: its children's stops are told again.
Result<void> collect_stop_reports(Tree& tree);

}  // namespace cryostat::dump
