// A question to the kernel that is answered with a list (netlink(7), NLM_F_DUMP).
#pragma once

#include <linux/netlink.h>

#include <cstddef>
#include <cstdint>
#include <functional>

#include "engine/base/error.h"

namespace cryostat::net {

// Sends `request` (what follows the header) to `protocol` (NETLINK_SOCK_DIAG, …) and calls `each`
// for every message of the answer but the last one.
Result<void> netlink_dump(int protocol, uint16_t type, const void* request, size_t bytes,
                          const std::function<void(const nlmsghdr&)>& each);

}  // namespace cryostat::net
