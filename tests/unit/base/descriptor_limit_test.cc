#include "engine/base/descriptor_limit.h"

#include <sys/resource.h>

#include <algorithm>
#include <fstream>
#include <string>

#include "tests/support/catch.h"

using namespace cryostat;

namespace {
// Width of this process's descriptor table ("FDSize:", proc_pid_status(5)).
rlim_t table_width() {
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);)
    if (line.starts_with("FDSize:")) return std::stoull(line.substr(7));
  return 0;
}
}  // namespace

TEST_CASE("room for descriptors is made at once") {
  make_room_for_descriptors();
  rlimit limit{};
  REQUIRE(getrlimit(RLIMIT_NOFILE, &limit) == 0);
  CHECK(limit.rlim_cur == limit.rlim_max);
  CHECK(table_width() >= std::min<rlim_t>(limit.rlim_max, 16384));
}
