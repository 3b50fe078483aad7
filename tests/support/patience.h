// How much longer things may take on this machine than on a usual one: tests/vm sets it where the
// processor is emulated.
#pragma once

#include <cstdlib>

namespace cryostat::testing {

inline int patience() {
  const char* const text = getenv("CRYOSTAT_TEST_PATIENCE");
  const int factor = text == nullptr ? 1 : atoi(text);
  return factor < 1 ? 1 : factor;
}

}  // namespace cryostat::testing
