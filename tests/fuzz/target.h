// What a fuzz target gives to whoever drives it: driver.cc of this folder, or libFuzzer.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string>
#include <vector>

// Runs the code under test on one input. Returns 0; every other outcome (a crash, a report of a
// sanitizer, no return) is a finding. The names with C linkage are libFuzzer's.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size);

// Changes the input in place; returns its new size, at most `max_size`.
extern "C" size_t LLVMFuzzerCustomMutator(uint8_t* data, size_t size, size_t max_size,
                                          unsigned int seed);

// The driver's own: changes single bytes and stretches.
extern "C" size_t LLVMFuzzerMutate(uint8_t* data, size_t size, size_t max_size);

namespace cryostat::fuzz {

inline constexpr size_t kMaxInputBytes = 64 << 10;

// Good inputs that mutation starts from.
std::vector<std::string> seed_inputs();

// libFuzzer starts with an input of one byte: puts one of the seeds there and returns its size.
inline size_t place_seed(uint8_t* data, size_t max_size, unsigned int number) {
  const auto seeds = seed_inputs();
  const std::string& seed = seeds[number % seeds.size()];
  const size_t size = std::min(seed.size(), max_size);
  std::memcpy(data, seed.data(), size);
  return size;
}

}  // namespace cryostat::fuzz
