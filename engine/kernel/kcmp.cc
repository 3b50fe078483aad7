#include "engine/kernel/kcmp.h"

#include <fmt/format.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>

namespace cryostat::kernel {

Result<KcmpOrder> kcmp(Tid a, Tid b, KcmpType type, uint64_t index_a, uint64_t index_b) {
  const long order = syscall(SYS_kcmp, a.value, b.value, static_cast<int>(type), index_a, index_b);
  if (order < 0) {
    return fail_errno(fmt::format("compare objects of tasks {} and {} (type {}, {} and {})",
                                  a.value, b.value, static_cast<int>(type), index_a, index_b));
  }
  switch (order) {
    case 0:
      return KcmpOrder::kEqual;
    case 1:
      return KcmpOrder::kLess;
    case 2:
      return KcmpOrder::kGreater;
    default:
      return fail(ErrorKind::kFailed, fmt::format("kcmp: order {} of two live objects", order));
  }
}

}  // namespace cryostat::kernel
