// The processor, as far as a program that runs on it can tell.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "engine/arch/x86_64/xstate.h"

namespace cryostat::arch {

inline constexpr std::string_view kArchitecture = "x86_64";

struct Cpu {
  uint64_t xcr0 = 0;
  uint32_t xstate_size_bytes = 0;
  std::vector<XstateComponent> xstate_layout;  // beyond x87 and SSE
  std::string model_name;                      // for messages only
  std::vector<std::string> features;           // named as in /proc/cpuinfo, ascending
};

// Asks CPUID, not /proc/cpuinfo: it is what the program asked when it chose its code paths, and it
// takes no system call. Only instruction-set extensions user code can use are listed.
Cpu this_cpu();

// Those of `needed` that are not in `present` (ascending, as this_cpu() gives them).
std::vector<std::string> missing_features(const std::vector<std::string>& needed,
                                          const std::vector<std::string>& present);

}  // namespace cryostat::arch
