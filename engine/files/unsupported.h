// What to call an open object that no kind takes.
#pragma once

#include <string>

#include "engine/files/open_description.h"

namespace cryostat::files {

// The reason of its refusal, naming the object: "io_uring instance can't be checkpointed".
// `description.copy` must be valid (a socket is asked for its family).
std::string unsupported_reason(const OpenDescription& description);

// A regular file or directory that only looks like one (message queue, secret memory, namespace,
// …): its reason; empty for ordinary ones. `description.fs_type` must be known.
std::string disguised_object(const OpenDescription& description);

}  // namespace cryostat::files
