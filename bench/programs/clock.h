// The clock of the measurements.
#pragma once

#include <time.h>

#include <cstdint>

// Nanoseconds of CLOCK_MONOTONIC.
inline uint64_t now_ns() {
  timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return static_cast<uint64_t>(now.tv_sec) * 1'000'000'000 + static_cast<uint64_t>(now.tv_nsec);
}
