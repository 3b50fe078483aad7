// The files a tool writes beside the checkpoint: log, trace, pidfile.
#pragma once

#include <string>
#include <string_view>

#include "engine/base/error.h"
#include "engine/base/unique_fd.h"
#include "engine/cli/options.h"

namespace cryostat::cli {

// `name` inside `dir` unless it is absolute.
std::string path_in(const std::string& dir, const std::string& name);

// Creates `dir` with mode 0700 when it is missing (not its parents). Tells whether it was.
Result<bool> make_dir(const std::string& dir);

// Creates or truncates `path` with mode 0600, close-on-exec. `what` is named in the error ("log
// file").
Result<UniqueFd> create_file(const std::string& path, std::string_view what);

Result<void> write_all(int fd, std::string_view text, const std::string& path);

// Opens what --log-file asks for and points the log at it. The descriptor must stay open while
// logging; it is invalid when the log goes to stderr or stdout.
Result<UniqueFd> open_log(const SharedOptions& shared, const std::string& work_dir);

// Opens the --trace file early, so that a wrong name is found before the work; invalid without one.
Result<UniqueFd> open_trace(const SharedOptions& shared);
// Writes the spans gathered so far; does nothing without a descriptor.
Result<void> write_trace(const UniqueFd& fd, const SharedOptions& shared, std::string_view tool);

}  // namespace cryostat::cli
