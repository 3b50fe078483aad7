// Options of criu(8) whose meaning belongs to state Cryostat does not save yet.
#pragma once

#include <string_view>

namespace cryostat::cli {

// Why `name` ("tcp-established", or "l" for a short option) is not accepted: "TCP connections can't
// be checkpointed yet". Empty when the name is not known at all.
std::string_view why_unsupported(std::string_view name);

}  // namespace cryostat::cli
