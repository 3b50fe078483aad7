// Descriptors that come from the engine.
#pragma once

#include "proto/wire/parasite.h"

namespace cryostat::parasite {

// Each returns 0 or -errno.

// Makes the socket pair; the engine copies the second end with pidfd_getfd(2).
int open_channel(wire::ParasiteHeader* header);
// Takes one descriptor that the engine has already sent. -ENOSPC when too many are open.
int receive_fd(wire::ParasiteHeader* header);
// Closes header->result_fd, which must have been received.
int close_received_fd(wire::ParasiteHeader* header);
// Closes the channel and everything received.
void close_everything(wire::ParasiteHeader* header);

}  // namespace cryostat::parasite
