#include "engine/base/rate_limit.h"

#include <chrono>

#include "tests/support/catch.h"

using namespace cryostat;

namespace {
double seconds_of(RateLimit& limit, uint64_t bytes, int times) {
  const StopRequest stop;
  const auto start = std::chrono::steady_clock::now();
  for (int i = 0; i < times; ++i) REQUIRE(limit.spend(bytes, stop));
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}
}  // namespace

TEST_CASE("a rate limit takes its time, none takes none") {
  RateLimit limit(10 << 20);
  CHECK(seconds_of(limit, 1 << 20, 2) >= 0.19);
  RateLimit none(0);
  CHECK_FALSE(none.limited());
  CHECK(seconds_of(none, uint64_t{1} << 40, 10) < 1);
}

TEST_CASE("portions of a rate limit are whole pages") {
  CHECK(RateLimit(0).portion_bytes(1 << 20) == 1 << 20);
  CHECK(RateLimit(1).portion_bytes(1 << 20) == 4096);
  CHECK(RateLimit(50 * 8191).portion_bytes(1 << 20) == 4096);
  CHECK(RateLimit(uint64_t{1} << 40).portion_bytes(1 << 20) == 1 << 20);
}
