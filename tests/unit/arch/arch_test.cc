#include <elf.h>
#include <sys/auxv.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <initializer_list>

#include "engine/arch/x86_64/cpu.h"
#include "engine/arch/x86_64/registers.h"
#include "engine/arch/x86_64/syscall_insn.h"
#include "engine/arch/x86_64/vdso.h"
#include "engine/arch/x86_64/xstate.h"
#include "tests/support/catch.h"

using namespace cryostat;

namespace {
// Our own vDSO: its program headers tell how long it is.
std::vector<unsigned char> own_vdso() {
  const auto* base = reinterpret_cast<const unsigned char*>(getauxval(AT_SYSINFO_EHDR));
  REQUIRE(base != nullptr);
  Elf64_Ehdr header;
  std::memcpy(&header, base, sizeof(header));
  const size_t length = header.e_shoff + size_t{header.e_shnum} * header.e_shentsize;
  return {base, base + (length + 4095) / 4096 * 4096};
}
}  // namespace

TEST_CASE("vdso: symbols, build-id and a syscall instruction") {
  const auto image = own_vdso();
  const auto vdso = arch::parse_vdso(image);
  REQUIRE(vdso);
  CHECK(vdso->build_id.size() >= 16);
  const auto* function = vdso->find("__vdso_clock_gettime");
  REQUIRE(function != nullptr);
  CHECK(function->offset < image.size());
  CHECK(vdso->find("nothing") == nullptr);
  const auto insn = arch::find_syscall_insn(image);
  REQUIRE(insn);
  CHECK(image[*insn] == 0x0f);
  CHECK(image[*insn + 1] == 0x05);
  CHECK_FALSE(arch::find_syscall_insn(std::span(image).first(4)));
}

TEST_CASE("vdso: damaged images are errors, never crashes") {
  auto image = own_vdso();
  for (size_t length = 0; length < image.size(); length += 61) {
    (void)arch::parse_vdso(std::span(image).first(length));
  }
  for (size_t i = 0; i < image.size(); i += 3) {
    const unsigned char old = std::exchange(image[i], static_cast<unsigned char>(image[i] ^ 0xff));
    if (const auto vdso = arch::parse_vdso(image)) {
      for (const auto& symbol : vdso->functions) CHECK(symbol.offset < image.size());
    }
    image[i] = old;
  }
  CHECK_FALSE(arch::parse_vdso({}));
}

TEST_CASE("registers: bytes and system calls") {
  arch::Registers registers{};
  registers.orig_rax = 35;
  registers.rip = 0x1000;
  registers.cs = 0x33;
  CHECK(arch::in_system_call(registers));
  const auto again = arch::registers_from_bytes(arch::registers_to_bytes(registers));
  REQUIRE(again);
  CHECK(std::memcmp(&*again, &registers, sizeof(registers)) == 0);
  CHECK_FALSE(arch::registers_from_bytes("short"));
  arch::prepare_system_call(registers, 0x2000, 9, {1, 2, 3, 4, 5, 6});
  CHECK(registers.rip == 0x2000);
  CHECK(registers.rax == 9);
  CHECK_FALSE(arch::in_system_call(registers));
  CHECK(arch::system_call_arguments(registers) == std::array<uint64_t, 6>{1, 2, 3, 4, 5, 6});
}

TEST_CASE("xstate: names, sizes and bounds") {
  CHECK(arch::xstate_component_names(7) == "x87, SSE, AVX");
  CHECK(arch::xstate_component_names(uint64_t{1} << 40) == "component 40");
  CHECK((arch::this_xcr0() & 3) == 3);
  CHECK(arch::this_xstate_size_bytes() >= arch::kXstateMinBytes);
  for (const auto& component : arch::this_xstate_layout(arch::this_xcr0())) {
    CHECK(component.offset_bytes + component.size_bytes <= arch::this_xstate_size_bytes());
  }
  std::vector<unsigned char> area(arch::kXstateMinBytes);
  area[arch::kXcr0Offset] = 7;
  area[arch::kXstateBvOffset] = 2;
  CHECK(*arch::xcr0_of(area) == 7);
  CHECK(*arch::xstate_in_use(area) == 2);
  area.pop_back();
  CHECK_FALSE(arch::xcr0_of(area));
}

TEST_CASE("cpu: features by name") {
  const auto cpu = arch::this_cpu();
  CHECK(std::is_sorted(cpu.features.begin(), cpu.features.end()));
  CHECK(arch::missing_features({"sse2", "fxsr"}, cpu.features).empty());
  CHECK(arch::missing_features({"sse2", "zzz"}, cpu.features) == std::vector<std::string>{"zzz"});
}

TEST_CASE("code after a system call that has done with its arguments") {
  const auto forgets = [](std::initializer_list<unsigned char> bytes) {
    std::array<unsigned char, arch::kCodeAfterSyscallBytes> code{};
    std::copy(bytes.begin(), bytes.end(), code.begin());
    return arch::forgets_arguments(code);
  };
  CHECK(forgets({0xc3}));
  CHECK(forgets({0x48, 0x3d, 0, 0xf0, 0xff, 0xff, 0x77, 0x5d, 0xc3}));
  // glibc 2.36 with threads: epoll_wait, epoll_pwait.
  CHECK(forgets({0x48, 0x3d, 0, 0xf0, 0xff, 0xff, 0x77, 0x32, 0x44, 0x89, 0xc7, 0x89, 0x44, 0x24,
                 0x0c, 0xe8}));
  CHECK(forgets(
      {0x48, 0x3d, 0, 0xf0, 0xff, 0xff, 0x77, 0x32, 0x89, 0xef, 0x89, 0x44, 0x24, 0x04, 0xe8}));
  CHECK_FALSE(forgets({0x90, 0xc3}));
  CHECK_FALSE(forgets({0x48, 0x3d, 0, 0xf0, 0xff, 0xff, 0x76, 0x5d, 0xc3}));
  CHECK_FALSE(forgets({0x48, 0x3d, 0, 0xf0, 0xff, 0xff, 0x77, 0x32, 0x4c, 0x89, 0xd7}));
  CHECK_FALSE(forgets({}));
}
