// Whether two tasks share a kernel object (kcmp(2)); needs ptrace access to both.
#pragma once

#include <cstdint>

#include "engine/base/error.h"
#include "engine/base/ids.h"

namespace cryostat::kernel {

enum class KcmpType : int {
  kFile = 0,  // open file descriptions; indexes are descriptor numbers
  kVm = 1,
  kFiles = 2,  // descriptor tables
  kFs = 3,     // root, cwd, umask
  kSignalHandlers = 4,
  kIo = 5,
  kSysvSem = 6,
};

// A total order over the objects of one boot, fit for sorting.
enum class KcmpOrder : int { kEqual, kLess, kGreater };

// kFailed with ENOSYS when the kernel has no kcmp, EBADF for a number that is not open.
Result<KcmpOrder> kcmp(Tid a, Tid b, KcmpType type, uint64_t index_a = 0, uint64_t index_b = 0);

}  // namespace cryostat::kernel
