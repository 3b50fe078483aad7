#include "engine/cli/tool.h"

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <exception>

#include "engine/base/version.h"
#include "engine/cli/own_stack.h"
#include "engine/cli/report.h"
#include "engine/cli/statistics.h"

namespace cryostat::cli {

std::span<const char* const> arguments_of(int argc, char** argv) {
  const int skipped = std::min(argc, 1);
  return {argv + skipped, static_cast<size_t>(argc - skipped)};
}

bool wants_json(std::span<const char* const> arguments) {
  return std::any_of(arguments.begin(), arguments.end(),
                     [](const char* argument) { return std::string_view(argument) == "--json"; });
}

namespace {

int output_errno = 0;  // of the first write to stdout that failed

void write_out(std::string_view text, bool reader_may_leave) {
  errno = 0;
  const bool written = std::fwrite(text.data(), 1, text.size(), stdout) == text.size();
  if (written && std::fflush(stdout) == 0) return;
  if (reader_may_leave && errno == EPIPE) return;
  if (output_errno == 0) output_errno = errno != 0 ? errno : EIO;
}

}  // namespace

int tell_failure(std::string_view tool, const Error& error, bool json) {
  if (json) print_json(json_failure(tool, error));
  std::fputs(error_text(tool, error).c_str(), stderr);
  return exit_code(error);
}

void print(std::string_view text) { write_out(text, true); }

void print_json(std::string_view text) { write_out(text, false); }

std::string version_text(std::string_view tool) {
  return fmt::format("{} (Cryostat) {}\n", tool, kVersion);
}

int guarded(std::string_view tool, const std::function<int()>& body) {
  try {
    if (const auto room = ensure_stack(); !room) return tell_failure(tool, room.error(), false);
    const int code = body();
    if (code != 0 || output_errno == 0) return code;
    return tell_failure(tool,
                        Error::from_errno(output_errno, "all was done, but telling it on stdout")
                            .as(ErrorKind::kFailed),
                        false);
  } catch (const std::exception& exception) {
    return tell_failure(tool, Error(ErrorKind::kFailed, exception.what()), false);
  }
}

}  // namespace cryostat::cli
