#include "engine/cli/tool.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdio>
#include <exception>

#include "engine/base/version.h"
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

int tell_failure(std::string_view tool, const Error& error, bool json) {
  if (json) print(json_failure(tool, error));
  std::fputs(error_text(tool, error).c_str(), stderr);
  return exit_code(error);
}

void print(std::string_view text) {
  std::fwrite(text.data(), 1, text.size(), stdout);
  std::fflush(stdout);
}

std::string version_text(std::string_view tool) {
  return fmt::format("{} (Cryostat) {}\n", tool, kVersion);
}

int guarded(std::string_view tool, const std::function<int()>& body) {
  try {
    return body();
  } catch (const std::exception& exception) {
    return tell_failure(tool, Error(ErrorKind::kFailed, exception.what()), false);
  }
}

}  // namespace cryostat::cli
