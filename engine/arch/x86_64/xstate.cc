#include "engine/arch/x86_64/xstate.h"

#include <cpuid.h>
#include <fmt/format.h>

#include <cstring>
#include <iterator>

namespace cryostat::arch {

namespace {

constexpr unsigned kXsaveLeaf = 0xd;
constexpr uint64_t kLegacyXcr0 = 3;  // x87 and SSE: a processor without XSAVE

constexpr const char* kNames[] = {
    "x87",
    "SSE",
    "AVX",
    "MPX bounds",
    "MPX config",
    "AVX-512 opmask",
    "AVX-512 ZMM_Hi256",
    "AVX-512 Hi16_ZMM",
    "PT",
    "PKRU",
    "PASID",
    "CET user",
    "CET supervisor",
    "HDC",
    "UINTR",
    "LBR",
    "HWP",
    "AMX tile config",
    "AMX tile data",
    "APX",
};

Result<uint64_t> read_word(std::span<const unsigned char> xstate, size_t offset) {
  if (xstate.size() < kXstateMinBytes || xstate.size() > kXstateMaxBytes) {
    return fail(ErrorKind::kFailed,
                fmt::format("extended register state of {} bytes", xstate.size()));
  }
  uint64_t word;
  std::memcpy(&word, xstate.data() + offset, sizeof(word));
  return word;
}

}  // namespace

uint64_t this_xcr0() {
  unsigned a = 0, b = 0, c = 0, d = 0;
  if (__get_cpuid(1, &a, &b, &c, &d) == 0 || (c & bit_OSXSAVE) == 0) return kLegacyXcr0;
  asm volatile("xgetbv" : "=a"(a), "=d"(d) : "c"(0));
  return uint64_t{d} << 32 | a;
}

uint32_t this_xstate_size_bytes() {
  unsigned a = 0, b = 0, c = 0, d = 0;
  if (__get_cpuid_count(kXsaveLeaf, 0, &a, &b, &c, &d) == 0) return kXstateMinBytes;
  return b;
}

std::vector<XstateComponent> this_xstate_layout(uint64_t xcr0) {
  std::vector<XstateComponent> layout;
  if (this_xcr0() == kLegacyXcr0) return layout;
  for (uint32_t number = 2; number < 63; ++number) {
    if ((xcr0 >> number & 1) == 0) continue;
    unsigned size = 0, offset = 0, c = 0, d = 0;
    __cpuid_count(kXsaveLeaf, number, size, offset, c, d);
    layout.push_back({number, offset, size});
  }
  return layout;
}

Result<uint64_t> xcr0_of(std::span<const unsigned char> xstate) {
  return read_word(xstate, kXcr0Offset);
}

Result<uint64_t> xstate_in_use(std::span<const unsigned char> xstate) {
  return read_word(xstate, kXstateBvOffset);
}

std::string xstate_component_names(uint64_t mask) {
  std::string names;
  for (size_t number = 0; number < 64; ++number) {
    if ((mask >> number & 1) == 0) continue;
    if (!names.empty()) names += ", ";
    names += number < std::size(kNames) ? std::string(kNames[number])
                                        : fmt::format("component {}", number);
  }
  return names;
}

}  // namespace cryostat::arch
