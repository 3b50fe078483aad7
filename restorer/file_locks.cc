#include "restorer/file_locks.h"

#include <linux/fcntl.h>
#include <sys/syscall.h>

#include "engine/kernel/raw_syscall.h"

namespace cryostat::restorer {

int set_file_locks(wire::RestorerPlan& plan) {
  const wire::FileLock* locks = plan.file_locks.in(&plan);
  for (uint64_t i = 0; i < plan.file_locks.count; ++i) {
    struct flock lock = {};
    lock.l_type = locks[i].type;
    lock.l_whence = 0;  // SEEK_SET
    lock.l_start = locks[i].start;
    lock.l_len = locks[i].length;
    const long result =
        raw_syscall(SYS_fcntl, locks[i].fd, F_SETLK, reinterpret_cast<uint64_t>(&lock));
    if (is_syscall_error(result)) {
      plan.detail = static_cast<uint64_t>(locks[i].fd);
      return static_cast<int>(result);
    }
  }
  return 0;
}

}  // namespace cryostat::restorer
