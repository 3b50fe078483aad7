// Who has a socket open.
#pragma once

#include <cstdint>
#include <string>

namespace cryostat::net {

// "pid 42 (`foo`)", the lowest such process, or "no process that can be seen". Looks through the
// descriptors of every process: for messages only.
std::string describe_socket_holder(uint64_t inode);

}  // namespace cryostat::net
