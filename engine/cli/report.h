// How a failure is told to the person at the terminal and to scripts.
#pragma once

#include <string>
#include <string_view>

#include "engine/base/error.h"

namespace cryostat::cli {

// The word before the message: "refused", "target gone", "images", …
std::string_view kind_prefix(ErrorKind kind);
// The word in JSON: "refused", "target-gone", "images", …
std::string_view kind_name(ErrorKind kind);
inline int exit_code(const Error& error) { return static_cast<int>(error.kind()); }

// The error as lines: "cr-dump: refused: pid 42 fd 7: …", one more for each further line of the
// error, then "  hint: …". Ends in a newline. Control characters are shown as ?.
std::string error_text(std::string_view tool, const Error& error);

}  // namespace cryostat::cli
