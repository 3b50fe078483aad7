// The extended register state (x87, SSE, AVX, …) as PTRACE_GETREGSET NT_X86_XSTATE gives it: an
// XSAVE area in standard format (Intel SDM volume 1, chapter 13).
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "engine/base/error.h"

namespace cryostat::arch {

// The legacy region and the XSAVE header: the smallest area there is.
inline constexpr size_t kXstateMinBytes = 512 + 64;
// AMX tiles need 11 KiB; no processor reports more than a few pages.
inline constexpr size_t kXstateMaxBytes = 64 * 1024;
// In the software-usable bytes of the legacy region the kernel keeps the enabled components.
inline constexpr size_t kXcr0Offset = 464;
inline constexpr size_t kXstateBvOffset = 512;

// One state component in the standard format of this processor.
struct XstateComponent {
  uint32_t number = 0;        // bit in XCR0
  uint32_t offset_bytes = 0;  // 0 for x87 and SSE, which are in the legacy region
  uint32_t size_bytes = 0;
};

// Components enabled on this machine: XCR0, as user code sees it (XGETBV).
uint64_t this_xcr0();
// Size of the register set for `xcr0` on this machine, by CPUID leaf 0xd.
uint32_t this_xstate_size_bytes();
// Where each of the components of `xcr0` beyond x87 and SSE lies on this machine. Vendors differ.
std::vector<XstateComponent> this_xstate_layout(uint64_t xcr0);

// XCR0 of a saved area; kFailed when it is too short or too long.
Result<uint64_t> xcr0_of(std::span<const unsigned char> xstate);
// Components that are in use (not in their initial state) in a saved area.
Result<uint64_t> xstate_in_use(std::span<const unsigned char> xstate);

// "x87, SSE, AVX" for 7; unknown bits as "component 19".
std::string xstate_component_names(uint64_t mask);

}  // namespace cryostat::arch
