// Page transfer by the parasite: it hashes its own pages and writes them with pwritev.
#pragma once

#include <cstdint>

namespace cryostat::wire {

struct TransferRequest {};

}  // namespace cryostat::wire
