// Tells which areas of memory have a NUMA policy of their own.
#pragma once

#include <cstddef>

#include "proto/wire/memory_policy.h"

namespace cryostat::parasite {

// `room_bytes`: what is there from the request on. 0 or -errno.
int find_policies(wire::PolicyRequest* request, size_t room_bytes);

}  // namespace cryostat::parasite
