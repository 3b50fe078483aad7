#include "engine/restore/area.h"

#include "tests/support/catch.h"

using namespace cryostat::restore;

namespace {
constexpr uint64_t kMiB = uint64_t{1} << 20;
constexpr uint64_t kGiB = uint64_t{1} << 30;

bool overlaps(const AddressRange& range, uint64_t start, uint64_t size_bytes) {
  return start < range.end && range.start < start + size_bytes;
}
}  // namespace

TEST_CASE("an area avoids every taken range, in any order and overlapping") {
  const std::vector<AddressRange> taken = {
      {0x7ffff7fc0000, 0x7ffff7fff000},
      {0x400000, 0x500000},
      {4 * kGiB, 5 * kGiB},
      {4 * kGiB + kMiB, 6 * kGiB},
      {6 * kGiB + 20 * kMiB, 7 * kGiB},
  };
  const auto area = find_area(taken, 8 * kMiB);
  REQUIRE(area.has_value());
  for (const AddressRange& range : taken) CHECK_FALSE(overlaps(range, *area, 8 * kMiB));
  // The 20 MiB gap is too small with the distance that is kept.
  CHECK(*area > 7 * kGiB);
}

TEST_CASE("a gap that is large enough is used") {
  const auto area = find_area({{4 * kGiB, 5 * kGiB}, {5 * kGiB + 64 * kMiB, 6 * kGiB}}, 8 * kMiB);
  REQUIRE(area.has_value());
  CHECK(*area > 5 * kGiB);
  CHECK(*area + 8 * kMiB < 5 * kGiB + 64 * kMiB);
}

TEST_CASE("no room is an error") {
  const auto area = find_area({{0x1000, 0x7ffffffff000}}, kMiB);
  REQUIRE_FALSE(area.has_value());
  CHECK(area.error().kind() == cryostat::ErrorKind::kMachine);
}

TEST_CASE("an impossible size is an error") {
  CHECK_FALSE(find_area({}, ~uint64_t{0} - 4096).has_value());
}

TEST_CASE("own mappings hold this function and this stack") {
  const auto ranges = own_ranges();
  REQUIRE(ranges.has_value());
  const int on_stack = 0;
  const auto holds = [&](uint64_t address) {
    for (const AddressRange& range : *ranges) {
      if (range.start <= address && address < range.end) return true;
    }
    return false;
  };
  CHECK(holds(reinterpret_cast<uint64_t>(&on_stack)));
  CHECK(holds(reinterpret_cast<uint64_t>(&find_area)));
}
