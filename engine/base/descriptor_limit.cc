#include "engine/base/descriptor_limit.h"

#include <fcntl.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>

namespace cryostat {

namespace {

// 128 KiB of kernel memory.
constexpr rlim_t kWideTable = 16384;

}  // namespace

void make_room_for_descriptors() {
  rlimit limit{};
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
  limit.rlim_cur = limit.rlim_max;
  if (setrlimit(RLIMIT_NOFILE, &limit) != 0) return;
  // Whatever is open: only the number matters, and the table stays as wide as it was.
  const int any = open("/", O_PATH | O_CLOEXEC);
  if (any < 0) return;
  const int wide =
      fcntl(any, F_DUPFD_CLOEXEC, static_cast<int>(std::min(limit.rlim_max, kWideTable)) - 1);
  if (wide >= 0) close(wide);
  close(any);
}

}  // namespace cryostat
