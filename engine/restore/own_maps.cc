#include "engine/restore/own_maps.h"

#include <fcntl.h>
#include <unistd.h>

#include "engine/base/unique_fd.h"

namespace cryostat::restore {

Result<std::string> read_own_maps() {
  UniqueFd fd(open("/proc/self/maps", O_RDONLY | O_CLOEXEC));
  if (!fd) return fail_errno("open /proc/self/maps");
  std::string text;
  size_t used = 0;
  for (;;) {
    text.resize(used + 65536);
    const ssize_t got = read(fd.get(), text.data() + used, text.size() - used);
    if (got < 0) return fail_errno("read /proc/self/maps");
    if (got == 0) break;
    used += static_cast<size_t>(got);
  }
  text.resize(used);
  return text;
}

}  // namespace cryostat::restore
