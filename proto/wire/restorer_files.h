// What the restorer does to descriptors: record locks, which would be gone if set any earlier.
#pragma once

#include <cstdint>

namespace cryostat::wire {

// A POSIX record lock of the task (fcntl_locking(2)).
struct FileLock {
  int32_t fd = -1;
  int16_t type = 0;  // F_RDLCK, F_WRLCK
  uint16_t reserved = 0;
  int64_t start = 0;
  int64_t length = 0;  // 0: to the end, however far that goes
};
static_assert(sizeof(FileLock) == 24);

}  // namespace cryostat::wire
