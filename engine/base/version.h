// The version of the suite, as --version prints it and manifests record it.
#pragma once

#include <string_view>

namespace cryostat {

// Kept equal to project(VERSION) in CMakeLists.txt, which checks it.
inline constexpr std::string_view kVersion = "0.1.0";

}  // namespace cryostat
