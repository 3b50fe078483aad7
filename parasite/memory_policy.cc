#include "parasite/memory_policy.h"

#include <asm/unistd.h>
#include <errno.h>

#include "engine/kernel/raw_syscall.h"

namespace cryostat::parasite {

int find_policies(wire::PolicyRequest* request, size_t room_bytes) {
  const uint64_t count = request->count;
  if (count > (room_bytes - sizeof(*request)) / sizeof(int64_t)) return -EINVAL;
  auto* const values = reinterpret_cast<int64_t*>(request + 1);
  for (uint64_t i = 0; i < count; ++i) {
    int32_t mode = 0;
    const long result = raw_syscall(__NR_get_mempolicy, reinterpret_cast<uint64_t>(&mode), 0, 0,
                                    static_cast<uint64_t>(values[i]), wire::kPolicyOfAddress);
    values[i] = is_syscall_error(result) ? result : mode;
  }
  return 0;
}

}  // namespace cryostat::parasite
