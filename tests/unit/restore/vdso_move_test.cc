#include "engine/restore/vdso_move.h"

#include <sys/auxv.h>
#include <sys/user.h>

#include <cstring>

#include "engine/arch/x86_64/vdso.h"
#include "proto/mm.pb.h"
#include "proto/task.pb.h"
#include "tests/support/catch.h"

using namespace cryostat;
using namespace cryostat::restore;

namespace {

std::span<const unsigned char> own_vdso() {
  const VdsoChoice here =
      *choose_vdso(*find_own_vdso(), pb::AddressSpace(), "", {}, VdsoMode::kAuto);
  return {reinterpret_cast<const unsigned char*>(here.vdso_start),
          static_cast<size_t>(here.vdso_size_bytes)};
}

pb::AddressSpace space_with(std::span<const unsigned char> image) {
  const VdsoChoice here =
      *choose_vdso(*find_own_vdso(), pb::AddressSpace(), "", {}, VdsoMode::kAuto);
  pb::AddressSpace space;
  space.set_vdso_start(0x7fff12340000);
  space.set_vdso_size_bytes(image.size());
  space.set_vvar_start(0x7fff12340000 - (here.vdso_start - here.group_start));
  space.set_vvar_size_bytes(here.vdso_start - here.group_start);
  space.set_vdso_image(image.data(), image.size());
  return space;
}

}  // namespace

TEST_CASE("each function of a re-targeted vDSO jumps to its new place") {
  const auto image = own_vdso();
  constexpr uint64_t kNewPlace = 0x123456780000;
  const auto patched = retarget_image(image, image, kNewPlace);
  REQUIRE(patched.has_value());
  const auto parsed = arch::parse_vdso(image);
  REQUIRE(parsed.has_value());
  REQUIRE_FALSE(parsed->functions.empty());
  for (const auto& function : parsed->functions) {
    uint64_t address = 0;
    std::memcpy(&address, patched->data() + function.offset + 6, sizeof(address));
    CHECK((*patched)[function.offset] == 0xff);
    CHECK((*patched)[function.offset + 1] == 0x25);
    CHECK(address == kNewPlace + function.offset);
  }
}

TEST_CASE("nonsense is not re-targeted") {
  const std::vector<unsigned char> nonsense(8192, 0x5a);
  CHECK_FALSE(retarget_image(nonsense, own_vdso(), 0x1000).has_value());
  CHECK_FALSE(retarget_image({}, own_vdso(), 0x1000).has_value());
}

TEST_CASE("the same vDSO is moved, another one re-targeted") {
  const auto image = own_vdso();
  const auto same = choose_vdso(*find_own_vdso(), space_with(image), space_with(image).vdso_image(),
                                {}, VdsoMode::kAuto);
  REQUIRE(same.has_value());
  CHECK(same->way == VdsoChoice::Way::kMove);

  // Other bytes and no build-id that would say that they mean the same.
  std::vector<unsigned char> other(image.begin(), image.end());
  other.back() ^= 1;
  const auto changed = choose_vdso(*find_own_vdso(), space_with(other),
                                   space_with(other).vdso_image(), {}, VdsoMode::kAuto);
  REQUIRE(changed.has_value());
  CHECK(changed->way == VdsoChoice::Way::kRetarget);
  CHECK_FALSE(choose_vdso(*find_own_vdso(), space_with(other), space_with(other).vdso_image(), {},
                          VdsoMode::kMove)
                  .has_value());
}

TEST_CASE("a thread inside another vDSO can't go on") {
  const auto image = own_vdso();
  std::vector<unsigned char> other(image.begin(), image.end());
  other.back() ^= 1;
  user_regs_struct registers{};
  registers.rip = 0x7fff12340000 + 0x800;
  std::vector<pb::Thread> threads(1);
  threads[0].set_tid(77);
  threads[0].mutable_registers()->set_general(&registers, sizeof(registers));
  const auto choice = choose_vdso(*find_own_vdso(), space_with(other),
                                  space_with(other).vdso_image(), threads, VdsoMode::kAuto);
  REQUIRE_FALSE(choice.has_value());
  CHECK(choice.error().kind() == ErrorKind::kMachine);
  CHECK(choice.error().message().find("77") != std::string::npos);
}
