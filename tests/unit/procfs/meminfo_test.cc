#include "engine/procfs/meminfo.h"

#include "tests/support/catch.h"

using namespace cryostat;

TEST_CASE("meminfo tells what is available and what is promised") {
  const auto meminfo = procfs::parse_meminfo(
      "MemTotal:       16384000 kB\nMemFree:         1000 kB\nMemAvailable:    8192 kB\n"
      "SwapFree:        1024 kB\nCommitLimit:     4096 kB\nCommitted_AS:    2048 kB\n");
  REQUIRE(meminfo);
  CHECK(meminfo->available_bytes == 8u << 20);
  CHECK(meminfo->swap_free_bytes == 1u << 20);
  CHECK(meminfo->commit_limit_bytes == 4u << 20);
  CHECK(meminfo->committed_bytes == 2u << 20);
}

TEST_CASE("meminfo without a line leaves it 0, a malformed one is an error") {
  CHECK(procfs::parse_meminfo("MemTotal: 1 kB\n")->available_bytes == 0);
  CHECK(procfs::parse_meminfo("")->available_bytes == 0);
  CHECK_FALSE(procfs::parse_meminfo("MemAvailable: many kB\n"));
  CHECK_FALSE(procfs::parse_meminfo("MemAvailable: 18446744073709551615 kB\n"));
}
