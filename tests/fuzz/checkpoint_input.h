// The input of the targets that read a checkpoint folder, and its mutation.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

namespace cryostat::fuzz {

// Builds the folder that the input describes (tests/fuzz/steps.h). Returns its path, the same in
// every call; it is removed when the program ends.
const std::string& write_input(const uint8_t* data, size_t size);

}  // namespace cryostat::fuzz
