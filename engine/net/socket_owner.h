// Owner, group and mode of a socket itself (fstat(2)); the kernel takes the owner for that of the
// traffic too (sk_uid).
#pragma once

#include <sys/types.h>

#include "engine/base/error.h"

namespace cryostat::net {

// Sets what differs. `mode`: st_mode.
Result<void> apply_socket_owner(int socket, uid_t uid, gid_t gid, mode_t mode);

}  // namespace cryostat::net
